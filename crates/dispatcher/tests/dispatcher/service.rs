//! The service itself: health, version, documentation, aliases, request ids.

use operator_testkit::eventually;
use serde_json::json;

use crate::catalogue::publish;
use crate::harness::World;

#[tokio::test]
async fn health_readiness_and_version_are_answered() {
    let world = World::new().await;
    let health = world.dispatcher.read("/health").await;
    assert_eq!((&health["status"], &health["checks"]), (&"ok".into(), &json!({"archive": "ok"})));
    let ready = world.dispatcher.read("/ready").await;
    assert_eq!(ready["checks"], json!({"redis": "ok", "database": "ok"}));
    let version = world.dispatcher.read("/version").await;
    assert_eq!(version, json!({"service": "tested", "version": "1.2.3", "commit": "abc", "env": "test"}));
    let metrics = world.dispatcher.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("operator_build_info"));
}

#[tokio::test]
async fn every_described_get_is_really_served() {
    let world = World::new().await;
    world.dispatcher.add_one("default", "echo", json!({"jobId": "known"})).await;
    let document = world.dispatcher.read("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let repeat = json!({"repeat": {"every": 3_600_000}});
    let put = world.dispatcher.request("PUT", "/queues/default/schedulers/known").json(repeat);
    assert_eq!(put.send().await.status, 200);
    world.dispatcher.add_one("default", "echo", json!({"deduplication": {"id": "known"}})).await;
    let _worker = publish(&world, "w", "known", "1.0.0").await;
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        if operations.get("get").is_some() {
            let mut path = path.replace("{queue}", "default").replace("{id}", "known");
            if path.ends_with("/wait") {
                path.push_str("?timeout=1");
            }
            // A stream of events has no end to wait for.
            assert_eq!(world.dispatcher.request("GET", &path).open().await.status(), 200, "{path}");
            asked += 1;
        }
    }
    assert!(asked >= 26, "{asked}");
}

#[tokio::test]
async fn the_documentation_is_served_from_the_program_itself() {
    let world = World::new().await;
    let redirect = world.dispatcher.get("/docs").await;
    assert_eq!((redirect.status, redirect.header("location")), (307, Some("docs/")));
    let page = world.dispatcher.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(!page.text().contains("https://"), "{}", page.text());
    let start = world.dispatcher.get("/docs/swagger-initializer.js").await;
    assert!(start.text().contains("../openapi.json") && !start.text().contains("https://"), "{}", start.text());
    for file in ["swagger-ui.css", "swagger-ui-bundle.js"] {
        assert_eq!(world.dispatcher.get(&format!("/docs/{file}")).await.status, 200, "{file}");
    }
    assert_eq!(world.dispatcher.get("/docs/none.js").await.problem(), (404, "route_not_found".to_owned()));
}

#[tokio::test]
async fn every_route_is_served_under_its_aliases() {
    let world = World::new().await;
    for alias in ["/v1", "/internal"] {
        let body = json!({"name": "echo", "opts": {"jobId": format!("of{}", alias.replace('/', "-"))}});
        let answer = world.dispatcher.post(&format!("{alias}/queues/q/jobs"), body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let location = answer.header("location").unwrap();
        assert!(location.starts_with(alias), "{location}");
        assert_eq!(world.dispatcher.get(location).await.status, 200);
        for path in ["/health", "/jobs?limit=1", "/queues/q", "/docs/", "/openapi.json"] {
            assert_eq!(world.dispatcher.get(&format!("{alias}{path}")).await.status, 200, "{alias}{path}");
        }
        assert_eq!(world.dispatcher.get(alias).await.problem(), (404, "route_not_found".to_owned()));
    }
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let world = World::new().await;
    let given = world.dispatcher.request("GET", "/queues").header("X-Request-Id", "abc-123").send().await;
    assert_eq!(given.header("x-request-id"), Some("abc-123"));
    let made = world.dispatcher.get("/queues").await;
    assert_eq!(made.header("x-request-id").unwrap().len(), 36);
    let refused = world.dispatcher.request("GET", "/none").header("X-Request-Id", "abc-124").send().await;
    assert_eq!(refused.json()["requestId"], "abc-124");
}

#[tokio::test]
async fn a_dispatcher_that_stops_says_so_finishes_and_ends_well() {
    let world = World::new().await;
    let address = world.dispatcher.address;
    let stopping = tokio::spawn(world.dispatcher.stop());
    eventually("/ready to say no", async || {
        let answer = crate::http::Request::new(address, "GET", "/ready").try_send().await.ok()?;
        (answer.status == 503).then_some(())
    })
    .await;
    assert_eq!(stopping.await.unwrap(), operator_telemetry::Exit::Ok);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let consumers = world.redis.client().await.call(&["KEYS", "*operator*"]).await.texts();
    assert!(consumers.is_empty(), "{consumers:?}");
}
