//! Who may ask.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn with_a_key_set_every_route_but_the_platforms_needs_it() {
    let world = World::with(&[("OPERATOR_API_KEY", "hunter2")]).await;
    let api = &world.dispatcher;
    for path in ["/health", "/ready", "/version", "/livez", "/readyz", "/v1/health"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    for path in
        ["/metrics", "/docs/", "/openapi.json", "/queues", "/jobs", "/jobs/x", "/none", "/v1/queues", "/health/"]
    {
        let answer = api.get(path).await;
        assert_eq!(answer.problem(), (401, "unauthorized".to_owned()), "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"operator\""));
        assert!(!answer.text().contains("hunter2"));
    }
    let body = json!({"name": "echo"});
    let refused = api.request("POST", "/queues/q/jobs").header("x-api-key", "hunter").json(&body).send().await;
    assert_eq!(refused.problem(), (401, "unauthorized".to_owned()));
    for (name, value) in
        [("x-api-key", "hunter2"), ("Authorization", "Bearer hunter2"), ("authorization", "bearer hunter2")]
    {
        let answer = api.request("POST", "/queues/q/jobs").header(name, value).json(&body).send().await;
        assert_eq!(answer.status, 202, "{name}: {value}");
    }
    for (name, value) in [("x-api-key", ""), ("Authorization", "hunter2"), ("Authorization", "Basic hunter2")] {
        let answer = api.request("GET", "/queues").header(name, value).send().await;
        assert_eq!(answer.status, 401, "{name}: {value}");
    }
    let counts = api.request("GET", "/queues/q").header("x-api-key", "hunter2").send().await.json();
    assert_eq!(counts["counts"]["waiting"], 3);
}

#[tokio::test]
async fn without_a_key_no_page_of_another_site_changes_anything() {
    let world = World::new().await;
    let api = &world.dispatcher;
    api.add_one("q", "echo", json!({})).await;
    for (name, value) in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")] {
        for path in ["/queues/q/pause", "/v1/queues/q/pause"] {
            let answer = api.request("POST", path).header(name, value).send().await;
            assert_eq!(answer.problem(), (403, "foreign_page".to_owned()), "{name}: {value}");
        }
        assert_eq!(api.request("GET", "/queues/q").header(name, value).send().await.status, 200, "{name}: {value}");
    }
    assert_eq!(api.read("/queues/q").await["paused"], false);
    assert_eq!(api.request("POST", "/queues/q/pause").header("Sec-Fetch-Site", "same-origin").send().await.status, 200);
}
