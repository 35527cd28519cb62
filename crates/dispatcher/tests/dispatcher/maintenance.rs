//! Operations on many jobs, told line by line, and changes of one job by hand.

use serde_json::{Value, json};

use crate::harness::World;
use crate::http::Answer;
use crate::worker;

async fn ask(world: &World, method: &str, path: &str, body: Value) -> Answer {
    world.dispatcher.request(method, &format!("/queues/q{path}")).json(body).send().await
}

/// The lines of an operation that must succeed.
async fn lines(world: &World, method: &str, path: &str, body: Value) -> Vec<Value> {
    let answer = ask(world, method, path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let text = answer.text();
    text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last line of an operation that must succeed.
async fn end(world: &World, method: &str, path: &str, body: Value) -> Value {
    lines(world, method, path, body).await.pop().unwrap()
}

fn done(jobs: u64) -> Value {
    json!({"jobs": jobs, "done": true})
}

async fn add(world: &World, count: usize, opts: Value) {
    for chunk in vec![json!({"name": "echo", "opts": opts}); count].chunks(1000) {
        world.dispatcher.add("q", json!(chunk)).await;
    }
}

async fn counts(world: &World) -> Value {
    world.dispatcher.read("/queues/q").await["counts"].clone()
}

#[tokio::test]
async fn a_drain_tells_how_far_it_is_and_spares_delayed_jobs_unless_told() {
    let world = World::new().await;
    add(&world, 2500, json!({})).await;
    add(&world, 2, json!({"delay": 3_600_000})).await;
    let lines = lines(&world, "POST", "/drain", json!({})).await;
    let jobs: Vec<u64> = lines.iter().map(|line| line["jobs"].as_u64().unwrap()).collect();
    assert!(jobs.is_sorted() && jobs.len() > 1, "{jobs:?}");
    assert_eq!(lines.last(), Some(&done(2500)));
    assert!(lines[..lines.len() - 1].iter().all(|line| line["done"] == false), "{lines:?}");
    assert_eq!((&counts(&world).await["waiting"], &counts(&world).await["delayed"]), (&0.into(), &2.into()));
    assert_eq!(end(&world, "POST", "/drain", json!({"delayed": true})).await, done(2));
}

#[tokio::test]
async fn old_jobs_are_cleaned_and_failed_ones_run_again() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    for name in ["fail", "fail", "echo"] {
        let id = api.add_one("q", name, json!({})).await;
        let wait = format!("/queues/q/jobs/{id}/wait?timeout=20000");
        assert_eq!(api.read(&wait).await["finished"], true);
    }
    worker::stop(worker).await;
    assert_eq!(end(&world, "POST", "/retry-all", json!({"before": 1000})).await, done(0));
    assert_eq!(end(&world, "POST", "/retry-all", json!({"before": "2100-01-01T00:00:00Z"})).await, done(2));
    assert_eq!((&counts(&world).await["failed"], &counts(&world).await["waiting"]), (&0.into(), &2.into()));
    assert_eq!(end(&world, "POST", "/clean", json!({"grace": 3_600_000})).await, done(0));
    assert_eq!(end(&world, "POST", "/clean", json!({"grace": 0})).await, done(1));
    assert_eq!(end(&world, "POST", "/clean", json!({"grace": 0, "state": "waiting", "limit": 1})).await, done(1));
    assert_eq!(counts(&world).await["waiting"], 1);
}

#[tokio::test]
async fn delayed_jobs_are_promoted_together_and_events_trimmed() {
    let world = World::new().await;
    add(&world, 1200, json!({"delay": 3_600_000})).await;
    assert_eq!(end(&world, "POST", "/promote-all", json!({})).await, done(1200));
    assert_eq!(counts(&world).await["waiting"], 1200);
    let removed = ask(&world, "POST", "/trim-events", json!({"maxLength": 100})).await.json()["removed"].clone();
    assert!(removed.as_u64().unwrap() > 1000, "{removed}");
}

#[tokio::test]
async fn a_queue_is_obliterated_only_by_who_says_its_name_and_not_while_jobs_run() {
    let world = World::new().await;
    let api = &world.dispatcher;
    add(&world, 3, json!({})).await;
    for confirm in ["", "?confirm=", "?confirm=Q", "?confirm=other&force=true"] {
        let answer = ask(&world, "DELETE", confirm, json!(null)).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{confirm}");
        assert_eq!(answer.json()["errors"][0]["field"], "confirm");
    }
    assert_eq!((&counts(&world).await["waiting"], &api.read("/queues/q").await["paused"]), (&3.into(), &false.into()));

    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let held = api.add_one("q", "hold", json!({})).await;
    api.until_job(&held, "status", "active").await;
    let refused = ask(&world, "DELETE", "?confirm=q", json!(null)).await;
    assert_eq!(refused.problem(), (409, "job_held".to_owned()));
    let last = end(&world, "DELETE", "?confirm=q&force=true", json!(null)).await;
    assert_eq!(last["done"], true, "{last}");
    let answer = api.get("/queues/q").await;
    if answer.status == 404 {
        assert_eq!(answer.problem(), (404, "queue_not_found".to_owned()));
    } else {
        // The worker, which is still there, has made it known again.
        let queue = answer.json();
        assert_eq!(queue["paused"], false);
        assert!(queue["counts"].as_object().unwrap().values().all(|count| *count == 0), "{queue}");
    }
    assert_eq!(api.get(&format!("/queues/q/jobs/{held}")).await.problem(), (404, "job_not_found".to_owned()));
    drop(worker);
}

#[tokio::test]
async fn jobs_that_their_queue_has_lost_are_removed() {
    let world = World::new().await;
    add(&world, 3, json!({})).await;
    let lost = world.dispatcher.add_one("q", "echo", json!({})).await;
    world.redis.client().await.call(&["LREM", "bull:q:wait", "0", &lost]).await;
    assert_eq!(world.dispatcher.read(&format!("/queues/q/jobs/{lost}/state")).await["state"], "unknown");
    assert_eq!(end(&world, "POST", "/remove-orphans", json!({})).await, done(1));
    assert_eq!(counts(&world).await["waiting"], 3);
}

#[tokio::test]
async fn what_an_operation_that_was_left_has_not_done_the_next_one_does() {
    let world = World::new().await;
    add(&world, 30_000, json!({})).await;
    let mut lines = world.dispatcher.request("POST", "/queues/q/drain").json(json!({})).open().await;
    lines.next("{").await.unwrap();
    drop(lines);
    // How far it came is not ours to say.
    let left = counts(&world).await["waiting"].as_u64().unwrap();
    assert!(end(&world, "POST", "/drain", json!({})).await["jobs"].as_u64().unwrap() <= left);
    assert_eq!(counts(&world).await["waiting"], 0);
}

#[tokio::test]
async fn a_job_is_changed_by_hand() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let id = api.add_one("q", "echo", json!({"delay": 3_600_000})).await;
    let change =
        async |method: &str, what: &str, body: Value| ask(&world, method, &format!("/jobs/{id}/{what}"), body).await;
    assert_eq!(change("PUT", "delay", json!({"delay": 7_200_000})).await.status, 204);
    assert_eq!(change("PUT", "priority", json!({"priority": "high"})).await.status, 204);
    assert_eq!(change("PUT", "data", json!({"n": [2]})).await.status, 204);
    let job = api.read(&format!("/jobs/{id}")).await;
    assert_eq!((&job["delay"], &job["priority"], &job["data"]), (&7_200_000.into(), &10.into(), &json!({"n": [2]})));

    world.queue("q").await.add_logs(&id, &["a".to_owned(), "b".to_owned()], None).await.unwrap();
    assert_eq!(change("DELETE", "logs?keep=1", json!(null)).await.status, 204);
    assert_eq!(api.read(&format!("/queues/q/jobs/{id}/logs")).await["lines"], json!(["b"]));
    assert_eq!(change("DELETE", "logs", json!(null)).await.status, 204);
    assert_eq!(api.read(&format!("/queues/q/jobs/{id}/logs")).await["total"], 0);

    assert_eq!(api.post(&format!("/queues/q/jobs/{id}/promote"), Value::Null).await.status, 202);
    assert_eq!(change("PUT", "delay", json!({"delay": 5})).await.problem(), (409, "job_state".to_owned()));
    assert_eq!(change("DELETE", "parent", json!(null)).await.problem(), (409, "job_state".to_owned()));
}

#[tokio::test]
async fn children_are_removed_with_their_parent_or_before_it_or_let_go() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let flow = |id: &str| {
        let child = |name: &str| json!({"name": name, "queueName": "other", "opts": {"jobId": format!("{id}-{name}")}});
        json!({"name": "root", "queueName": "q", "opts": {"jobId": id}, "children": [child("a"), child("b")]})
    };
    assert_eq!(api.post("/flows", json!([flow("one"), flow("two"), flow("three"), flow("four")])).await.status, 202);

    assert_eq!(api.request("DELETE", "/queues/q/jobs/one").send().await.status, 204);
    assert_eq!(api.get("/queues/other/jobs/one-a").await.status, 404);
    assert_eq!(api.request("DELETE", "/queues/q/jobs/two?children=false").send().await.status, 204);
    assert_eq!(api.get("/queues/other/jobs/two-a").await.status, 200);

    assert_eq!(end(&world, "DELETE", "/jobs/three/dependencies", json!(null)).await, done(2));
    assert_eq!(api.read("/queues/q/jobs/three").await["state"], "waiting");

    for child in ["four-a", "four-b"] {
        assert_eq!(api.read("/queues/q/jobs/four").await["state"], "waiting-children");
        assert_eq!(api.request("DELETE", &format!("/queues/other/jobs/{child}/parent")).send().await.status, 204);
    }
    assert_eq!(api.read("/queues/q/jobs/four").await["state"], "waiting");
    assert_eq!(api.read("/queues/other/jobs/four-a").await["state"], "waiting");
}

#[tokio::test]
async fn what_cannot_be_done_to_a_queue_or_a_job_is_named_and_nothing_is_changed() {
    let world = World::with(&[("OPERATOR_MAX_DATA_BYTES", "1000")]).await;
    let id = world.dispatcher.add_one("q", "echo", json!({"delay": 3_600_000})).await;
    let before = world.dispatcher.read(&format!("/jobs/{id}")).await;
    let of_job = |what: &str| format!("/jobs/{id}/{what}");
    for (method, path, body, field) in [
        ("POST", "/drain".to_owned(), json!({"delay": true}), "delay"),
        ("POST", "/clean".to_owned(), json!({}), ""),
        ("POST", "/clean".to_owned(), json!({"grace": -1}), "grace"),
        ("POST", "/clean".to_owned(), json!({"grace": 0, "limit": 0}), "limit"),
        ("POST", "/clean".to_owned(), json!({"grace": 0, "state": "done"}), "state"),
        ("POST", "/clean".to_owned(), json!({"grace": 0, "state": "unknown"}), "state"),
        ("POST", "/retry-all".to_owned(), json!({"state": "waiting"}), "state"),
        ("POST", "/retry-all".to_owned(), json!({"before": "yesterday"}), "before"),
        ("POST", "/promote-all".to_owned(), json!({"count": 5}), "count"),
        ("POST", "/trim-events".to_owned(), json!({"maxLength": -1}), "maxLength"),
        ("PUT", of_job("delay"), json!({"delay": -1}), "delay"),
        ("PUT", of_job("delay"), json!({"delay": 9_000_000_000_000_000u64}), "delay"),
        ("PUT", of_job("priority"), json!({"priority": 2_097_152}), "priority"),
        ("PUT", of_job("priority"), json!({"priority": "urgent"}), "priority"),
        ("DELETE", of_job("logs?keep=x"), json!(null), "keep"),
    ] {
        let answer = ask(&world, method, &path, body.clone()).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{method} {path} {body}: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["field"], field, "{path} {body}: {}", answer.text());
    }
    let large = ask(&world, "PUT", &of_job("data"), json!("x".repeat(1000))).await;
    assert_eq!(large.problem(), (413, "data_too_large".to_owned()));
    let broken = world.dispatcher.request("PUT", &format!("/queues/q/jobs/{id}/data")).json("{\"a\":");
    assert_eq!(broken.send().await.problem(), (400, "invalid_json".to_owned()));
    let simple = world.dispatcher.request("POST", "/queues/q/drain").send().await;
    assert_eq!(simple.problem(), (415, "not_json".to_owned()));
    for (method, path) in [
        ("PUT", "/queues/q/jobs/none/delay"),
        ("PUT", "/queues/q/jobs/none/priority"),
        ("PUT", "/queues/q/jobs/none/data"),
        ("DELETE", "/queues/q/jobs/none/logs"),
        ("DELETE", "/queues/q/jobs/none/parent"),
        ("DELETE", "/queues/q/jobs/none/dependencies"),
    ] {
        let body = json!({"delay": 1});
        let body = if path.ends_with("priority") { json!({"priority": 1}) } else { body };
        let answer = world.dispatcher.request(method, path).json(body).send().await;
        assert_eq!(answer.problem(), (404, "job_not_found".to_owned()), "{method} {path}");
    }
    let gone = world.dispatcher.post("/queues/none/drain", json!({})).await;
    assert_eq!(gone.problem(), (404, "queue_not_found".to_owned()));
    assert_eq!(world.dispatcher.read(&format!("/jobs/{id}")).await, before);
}
