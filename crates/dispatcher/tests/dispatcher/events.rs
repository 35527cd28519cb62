//! Events as they happen, and waiting for a job to finish.

use std::time::Duration;

use operator_testkit::eventually;
use serde_json::{Value, json};

use crate::harness::World;
use crate::http::Lines;
use crate::worker;

async fn listen(world: &World, path: &str) -> Lines {
    let mut lines = world.dispatcher.request("GET", path).open().await;
    assert_eq!(lines.status(), 200, "{}", lines.head);
    assert!(lines.head.contains("content-type: text/event-stream"), "{}", lines.head);
    lines.next(": ").await.expect("a stream begins with a comment");
    lines
}

/// The next event: its id and its data.
async fn next(lines: &mut Lines) -> (String, Value) {
    let id = lines.next("id: ").await.expect("the stream goes on");
    let data = lines.next("data: ").await.expect("an event has data");
    (id, serde_json::from_str(&data).unwrap())
}

async fn until(lines: &mut Lines, name: &str) -> (String, Value) {
    loop {
        let (id, data) = next(lines).await;
        if data["event"] == name {
            return (id, data);
        }
    }
}

#[tokio::test]
async fn events_are_told_as_they_happen_and_again_from_the_last_one_that_was_read() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let before = api.add_one("q", "echo", json!({})).await;
    let mut lines = listen(&world, "/queues/q/events").await;
    let id = api.add_one("q", "log", json!({})).await;
    let (first, added) = next(&mut lines).await;
    assert_eq!(added, json!({"event": "added", "jobId": id, "name": "log"}));
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let (_, done) = until(&mut lines, "completed").await;
    assert_eq!((&done["jobId"], &done["returnvalue"]), (&json!(before), &json!({"n": 1})));
    drop(lines);

    let mut again = world.dispatcher.request("GET", "/queues/q/events").header("Last-Event-ID", &first).open().await;
    assert_eq!(next(&mut again).await.1, json!({"event": "waiting", "jobId": id}));
    let mut all = listen(&world, "/queues/q/events?lastEventId=0").await;
    assert_eq!(next(&mut all).await.1["jobId"], json!(before));
    worker::stop(worker).await;
}

#[tokio::test]
async fn an_event_of_ones_own_reaches_who_listens() {
    let world = World::new().await;
    world.dispatcher.add_one("q", "echo", json!({})).await;
    let mut lines = listen(&world, "/queues/q/events").await;
    let answer = world.dispatcher.post("/queues/q/events", json!({"name": "deployed", "fields": {"by": "me"}})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let (id, event) = next(&mut lines).await;
    assert_eq!((json!(id), event), (answer.json()["id"].clone(), json!({"event": "deployed", "fields": {"by": "me"}})));
    let taken = world.dispatcher.post("/queues/q/events", json!({"name": "completed"})).await;
    assert_eq!(taken.problem(), (400, "invalid_request".to_owned()));
    assert_eq!(taken.json()["errors"][0]["field"], "name");
}

#[tokio::test]
async fn streams_are_bounded_end_with_who_listens_and_with_the_dispatcher() {
    let world = World::with(&[("OPERATOR_MAX_EVENT_STREAMS", "1")]).await;
    world.dispatcher.add_one("q", "echo", json!({})).await;
    let lines = listen(&world, "/queues/q/events").await;
    let refused = world.dispatcher.get("/queues/q/events").await;
    assert_eq!(refused.problem(), (503, "too_many_listeners".to_owned()));
    assert!(refused.header("retry-after").is_some());
    drop(lines);
    let mut lines = eventually("a place to be free", async || {
        let lines = world.dispatcher.request("GET", "/queues/q/events").open().await;
        (lines.status() == 200).then_some(lines)
    })
    .await;
    let stopped = tokio::spawn(world.dispatcher.stop());
    assert_eq!(lines.next("id: ").await, None);
    assert_eq!(stopped.await.unwrap(), operator_telemetry::Exit::Ok);
}

#[tokio::test]
async fn a_stream_cannot_begin_at_what_is_no_event_nor_on_what_is_no_queue() {
    let world = World::new().await;
    world.dispatcher.add_one("q", "echo", json!({})).await;
    let answer = world.dispatcher.get("/queues/q/events?lastEventId=soon").await;
    assert_eq!(answer.problem(), (400, "invalid_request".to_owned()));
    assert_eq!(answer.json()["errors"][0]["field"], "lastEventId");
    assert_eq!(world.dispatcher.get("/queues/none/events").await.problem(), (404, "queue_not_found".to_owned()));
}

#[tokio::test]
async fn who_waits_for_a_job_is_told_how_it_ended() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let good = api.add_one("q", "echo", json!({"delay": 50, "removeOnComplete": true})).await;
    let outcome = api.read(&format!("/queues/q/jobs/{good}/wait?timeout=20000")).await;
    let expected = json!({"id": good, "finished": true, "state": "completed", "result": {"n": 1}, "error": null});
    assert_eq!(outcome, expected);
    let bad = api.add_one("q", "fail", json!({})).await;
    let outcome = api.read(&format!("/queues/q/jobs/{bad}/wait?timeout=20000")).await;
    assert_eq!((&outcome["state"], &outcome["error"]), (&json!("failed"), &json!("it cannot work")));

    let far = api.add_one("q", "echo", json!({"delay": 3_600_000})).await;
    let outcome = api.read(&format!("/queues/q/jobs/{far}/wait?timeout=1")).await;
    assert_eq!((&outcome["finished"], &outcome["state"]), (&json!(false), &json!("delayed")));
    assert_eq!(api.read(&format!("/queues/q/jobs/{far}/state")).await, json!({"id": far, "state": "delayed"}));
    for path in ["/queues/q/jobs/none/wait?timeout=1000", "/queues/q/jobs/none/state", "/queues/q/jobs/wait/state"] {
        assert_eq!(api.get(path).await.problem(), (404, "job_not_found".to_owned()), "{path}");
    }
    for timeout in ["", "?timeout=0", "?timeout=20001", "?timeout=soon"] {
        let answer = api.get(&format!("/queues/q/jobs/{far}/wait{timeout}")).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{timeout}");
        assert_eq!(answer.json()["errors"][0]["field"], "timeout");
    }
    worker::stop(worker).await;
}

#[tokio::test]
async fn who_waits_is_answered_when_the_dispatcher_stops() {
    let world = World::new().await;
    let id = world.dispatcher.add_one("q", "echo", json!({})).await;
    let request = world.dispatcher.request("GET", &format!("/queues/q/jobs/{id}/wait?timeout=20000"));
    let waiting = tokio::spawn(request.send());
    let client = world.redis.client().await;
    eventually("somebody to wait", async || {
        let list = client.call(&["CLIENT", "LIST"]).await.text();
        list.contains(":qe").then_some(())
    })
    .await;
    let stopped = tokio::time::timeout(Duration::from_secs(15), world.dispatcher.stop()).await;
    assert_eq!(stopped.unwrap(), operator_telemetry::Exit::Ok);
    let outcome = waiting.await.unwrap().json();
    assert_eq!((&outcome["finished"], &outcome["state"]), (&json!(false), &json!("waiting")));
}
