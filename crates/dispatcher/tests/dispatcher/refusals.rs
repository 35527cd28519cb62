//! What cannot be done is refused with one clear problem, and nothing is half done.

use serde_json::{Value, json};

use crate::harness::World;

#[tokio::test]
async fn addresses_and_methods_that_do_not_exist_are_refused() {
    let world = World::new().await;
    for path in ["/", "/nothing", "/queues/", "/jobs/a/b", "/queues/q/jobs/", "/v2/jobs", "/queues/q/jobs/a/b/c"] {
        assert_eq!(world.dispatcher.get(path).await.problem(), (404, "route_not_found".to_owned()), "{path}");
    }
    for (method, path, allowed) in [
        ("PUT", "/queues", "GET,HEAD"),
        ("GET", "/queues/q/pause", "POST"),
        ("POST", "/jobs", "GET,HEAD"),
        ("PATCH", "/queues/q/jobs/a", "GET,HEAD,DELETE"),
        ("OPTIONS", "/queues/q/jobs", "POST,GET,HEAD"),
        ("POST", "/health", "GET,HEAD"),
    ] {
        let answer = world.dispatcher.request(method, path).send().await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{method} {path}");
        let mut named: Vec<&str> = answer.header("allow").unwrap().split(',').collect();
        let mut expected: Vec<&str> = allowed.split(',').collect();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn queues_and_jobs_that_do_not_exist_are_not_found() {
    let world = World::new().await;
    let api = &world.dispatcher;
    for (method, path) in [
        ("GET", "/queues/none"),
        ("POST", "/queues/none/pause"),
        ("POST", "/queues/none/resume"),
        ("GET", "/queues/none/jobs"),
    ] {
        let answer = api.request(method, path).send().await;
        assert_eq!(answer.problem(), (404, "queue_not_found".to_owned()), "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/queues/none/jobs/a"),
        ("DELETE", "/queues/none/jobs/a"),
        ("GET", "/queues/none/jobs/a/logs"),
        ("POST", "/queues/none/jobs/a/retry"),
        ("POST", "/queues/none/jobs/a/promote"),
        ("GET", "/jobs/none"),
        ("POST", "/jobs/none/execute"),
        ("GET", "/jobs/a%00b"),
    ] {
        let answer = api.request(method, path).send().await;
        assert_eq!(answer.problem(), (404, "job_not_found".to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn parameters_and_names_that_cannot_be_used_are_named() {
    let world = World::new().await;
    world.dispatcher.add_one("q", "echo", json!({})).await;
    for (path, field) in [
        ("/queues/q/jobs?state=done", "state"),
        ("/queues/q/jobs?limit=0", "limit"),
        ("/queues/q/jobs?limit=201", "limit"),
        ("/queues/q/jobs?limit=ten", "limit"),
        ("/queues/q/jobs?cursor=x", "cursor"),
        ("/queues/q/jobs/a/logs?cursor=MTg0NDY3NDQwNzM3MDk1NTE2MTU", "cursor"),
        ("/jobs?status=done", "status"),
        ("/jobs?queue=a:b", "queue"),
        ("/jobs?cursor=x", "cursor"),
        ("/jobs?limit=-1", "limit"),
        ("/queues/a:b", "queue"),
        ("/queues/a%00b/jobs", "queue"),
    ] {
        let answer = world.dispatcher.get(path).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{path}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{path}: {}", answer.text());
    }
    let unknown = world.dispatcher.get("/jobs?stauts=failed").await;
    assert_eq!(unknown.problem(), (400, "invalid_request".to_owned()));
    assert!(unknown.json()["detail"].as_str().unwrap().contains("stauts"), "{}", unknown.text());
    assert_eq!(world.dispatcher.get("/queues/%FF").await.problem(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn jobs_that_cannot_be_used_are_named_and_none_of_their_list_is_added() {
    let world = World::with(&[("OPERATOR_MAX_DATA_BYTES", "1000"), ("OPERATOR_MAX_BULK_JOBS", "5")]).await;
    let api = &world.dispatcher;
    let good = r#"{"name":"echo"}"#;
    let large = format!(r#"{{"name":"echo","data":"{}"}}"#, "x".repeat(1000));
    for (body, status, code, field) in [
        ("{\"name\":".to_owned(), 400, "invalid_json", None),
        (String::new(), 400, "invalid_json", None),
        (
            format!("[{good},{{\"name\":\"a\",\"opts\":{{\"backoff\":{{\"type\":\"fixed\",\"jitter\":9}}}}}}]"),
            422,
            "invalid_job",
            Some("[1].opts.backoff.jitter"),
        ),
        (
            format!("[{good},{good},{{\"name\":\"a\",\"opts\":{{\"jobId\":\"12\"}}}}]"),
            422,
            "invalid_job",
            Some("[2].opts.jobId"),
        ),
        (format!("[{good},{{\"data\":1}}]"), 422, "invalid_job", Some("[1]")),
        (format!("[{good},{large}]"), 413, "data_too_large", Some("[1].data")),
        (format!("[{}]", [good; 6].join(",")), 413, "too_many_jobs", None),
    ] {
        let answer = api.request("POST", "/queues/q/jobs").json(&body).send().await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{body}");
        assert_eq!(answer.json()["errors"][0]["field"].as_str(), field, "{body}: {}", answer.text());
    }
    let keys = world.redis.client().await.call(&["KEYS", "bull:q:*"]).await.texts();
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test]
async fn a_body_is_declared_as_json_and_bounded() {
    let world = World::new().await;
    let api = &world.dispatcher;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let request = api.request("POST", "/queues/q/jobs").header("Content-Type", kind).raw(r#"{"name":"echo"}"#);
        assert_eq!(request.send().await.problem(), (415, "not_json".to_owned()), "{kind}");
    }
    for kind in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.jobs+json"] {
        let request = api.request("POST", "/queues/q/jobs").header("Content-Type", kind).raw(r#"{"name":"echo"}"#);
        assert_eq!(request.send().await.status, 202, "{kind}");
    }
    let request = api.request("POST", "/queues/q/jobs").header("Content-Type", "application/json");
    let answer = request.raw(vec![b' '; 17 * 1024 * 1024]).send().await;
    assert_eq!(answer.problem(), (413, "body_too_large".to_owned()));
    assert_eq!(api.read("/queues/q").await["counts"]["waiting"], 3);
}

#[tokio::test]
async fn hostile_documents_are_kept_or_refused_and_never_break_anything() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let deep = format!(r#"{{"name":"echo","data":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let answer = api.request("POST", "/queues/q/jobs").json(&deep).send().await;
    assert!([202, 400].contains(&answer.status), "{}", answer.text());
    let keys: serde_json::Map<String, Value> = (0..10_000).map(|n| (format!("k{n}"), n.into())).collect();
    for data in [json!("\u{0}\u{1}"), json!(keys), json!(1e300), json!("🦀".repeat(1000))] {
        let id = api.add("q", json!({"name": "echo", "data": data})).await.remove(0);
        assert_eq!(api.read(&format!("/jobs/{id}")).await["data"], data);
    }
    let answer = api.request("POST", "/queues/q/jobs").json("").raw(b"{\"name\":\"\xff\xfe\"}".to_vec()).send().await;
    assert_eq!(answer.problem(), (400, "invalid_json".to_owned()));
}
