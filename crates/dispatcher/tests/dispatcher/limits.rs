//! Limits of a queue: set, shown, obeyed by workers, taken off.

use serde_json::{Value, json};

use crate::harness::World;
use crate::http::Answer;
use crate::worker;

async fn ask(world: &World, method: &str, path: &str, body: Value) -> Answer {
    world.dispatcher.request(method, &format!("/queues/q/{path}")).json(body).send().await
}

#[tokio::test]
async fn limits_are_set_shown_and_taken_off() {
    let world = World::new().await;
    world.dispatcher.add_one("q", "echo", json!({})).await;
    let none = json!({"concurrency": null, "rateLimit": null, "waitMs": null});
    assert_eq!(world.dispatcher.read("/queues/q/limits").await, none);

    let answer = ask(&world, "PUT", "concurrency", json!({"concurrency": 3})).await;
    assert_eq!((answer.status, &answer.json()["concurrency"]), (200, &3.into()));
    let answer = ask(&world, "PUT", "rate-limit", json!({"max": 10, "duration": 60_000})).await;
    assert_eq!((answer.status, &answer.json()["rateLimit"]), (200, &json!({"max": 10, "duration": 60_000})));
    let resting = ask(&world, "PUT", "rest", json!({"duration": 3_600_000})).await.json();
    let left = resting["waitMs"].as_u64().unwrap();
    assert!(left > 0 && left <= 3_600_000, "{resting}");
    assert_eq!(world.dispatcher.read("/queues/q/limits").await["concurrency"], 3);

    for path in ["concurrency", "rate-limit", "rest"] {
        let answer = world.dispatcher.request("DELETE", &format!("/queues/q/{path}")).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_eq!(world.dispatcher.read("/queues/q/limits").await, none);
}

#[tokio::test]
async fn a_resting_queue_starts_no_job_until_its_rest_ends() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let id = api.add_one("q", "echo", json!({})).await;
    assert_eq!(ask(&world, "PUT", "rest", json!({"duration": 3_600_000})).await.status, 200);
    let worker = worker::start(&world.redis.url(), &["q", "other"]).await;
    let other = api.add_one("other", "echo", json!({})).await;
    api.until_job(&other, "status", "completed").await;
    assert_eq!(api.read(&format!("/jobs/{id}")).await["state"], "waiting");
    assert_eq!(ask(&world, "DELETE", "rest", json!(null)).await.json()["waitMs"], Value::Null);
    api.add_one("q", "echo", json!({})).await;
    api.until_job(&id, "status", "completed").await;
    worker::stop(worker).await;
}

#[tokio::test]
async fn limits_that_cannot_be_set_are_named() {
    let world = World::new().await;
    world.dispatcher.add_one("q", "echo", json!({})).await;
    for (path, body, field) in [
        ("concurrency", json!({"concurrency": 0}), "concurrency"),
        ("concurrency", json!({"concurrency": -1}), "concurrency"),
        ("concurrency", json!({"limit": 1}), "limit"),
        ("rate-limit", json!({"max": 0, "duration": 1}), "max"),
        ("rate-limit", json!({"max": 1, "duration": 0}), "duration"),
        ("rate-limit", json!({"max": 1}), ""),
        ("rest", json!({"duration": 0}), "duration"),
    ] {
        let answer = ask(&world, "PUT", path, body.clone()).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{path} {body}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{path} {body}: {}", answer.text());
    }
    let request = world.dispatcher.request("PUT", "/queues/q/rest").raw(r#"{"duration":1}"#);
    assert_eq!(request.send().await.problem(), (415, "not_json".to_owned()));
    let answer = world.dispatcher.request("PUT", "/queues/none/rest").json(json!({"duration": 1})).send().await;
    assert_eq!(answer.problem(), (404, "queue_not_found".to_owned()));
    assert_eq!(world.dispatcher.read("/queues/q/limits").await["concurrency"], Value::Null);
}
