//! Cancelling jobs over HTTP, what is shown of them afterwards, and jobs that nobody starts in time.

use serde_json::{Value, json};

use crate::harness::World;
use crate::worker;

#[tokio::test]
async fn a_job_that_waits_is_cancelled_and_shown_so_everywhere() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let id = api.add_one("q", "echo", json!({"delay": 600_000})).await;
    let answer = api.post(&format!("/jobs/{id}/cancel"), json!({"reason": "no longer wanted"})).await;
    let expected =
        json!({"id": id, "queue": "q", "state": "failed", "status": "cancelled", "stoppable": true, "children": 0});
    assert_eq!((answer.status, answer.json()), (200, expected));
    let job = api.read(&format!("/queues/q/jobs/{id}")).await;
    assert_eq!((&job["status"], &job["error"]), (&"cancelled".into(), &"cancelled: no longer wanted".into()));
    assert_eq!(api.read(&format!("/jobs/{id}")).await["status"], "cancelled");

    let records = world.until_recorded(1).await;
    assert_eq!(records[0].outcome.status().as_str(), "cancelled");
    let found = api.read("/jobs?status=cancelled").await;
    assert_eq!((&found["jobs"][0]["id"], &found["jobs"][0]["source"]), (&json!(id), &"history".into()));
    assert_eq!(api.read("/jobs?status=failed").await["jobs"], json!([]));

    let (status, code) = api.post(&format!("/jobs/{id}/cancel"), json!({})).await.problem();
    assert_eq!((status, code.as_str()), (409, "job_state"));
    let (status, code) = api.request("POST", "/queues/q/jobs/nobody/cancel").send().await.problem();
    assert_eq!((status, code.as_str()), (404, "job_not_found"));
    let (status, code) = api.request("POST", "/jobs/nobody/cancel").send().await.problem();
    assert_eq!((status, code.as_str()), (404, "job_not_found"));
    let long = json!({"reason": "x".repeat(1001)});
    assert_eq!(api.post(&format!("/queues/q/jobs/{id}/cancel"), long).await.status, 400);
    let (status, _) = api.post(&format!("/queues/q/jobs/{id}/cancel"), json!({"why": "x"})).await.problem();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_job_that_runs_is_told_to_stop() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let id = api.add_one("q", "hold", json!({"attempts": 3})).await;
    api.until_job(&id, "state", "active").await;
    let answer = api.request("POST", &format!("/queues/q/jobs/{id}/cancel")).send().await;
    let (state, told) = (answer.json()["state"].clone(), answer.json()["stoppable"].clone());
    assert_eq!((answer.status, state, told), (202, json!("active"), json!(true)));
    let job = api.until_job(&id, "status", "cancelled").await;
    assert_eq!(
        (&job["state"], &job["attemptsMade"], &job["quarantined"]),
        (&"failed".into(), &1.into(), &false.into())
    );
    let records = world.until_recorded(1).await;
    assert_eq!(records[0].outcome.status().as_str(), "cancelled");
    worker::stop(worker).await;
}

#[tokio::test]
async fn the_jobs_below_go_with_it_when_that_is_asked_for() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let flow = json!({"name": "p", "queueName": "q", "children": [{"name": "c", "queueName": "other"}]});
    let added = api.post("/flows", flow).await.json();
    let id = added["flows"][0]["id"].as_str().unwrap().to_owned();
    let answer = api.post(&format!("/queues/q/jobs/{id}/cancel"), json!({"children": true})).await;
    assert_eq!((answer.status, &answer.json()["children"]), (200, &1.into()));
    let tree = api.read(&format!("/queues/q/jobs/{id}/flow")).await;
    assert_eq!((&tree["status"], &tree["children"][0]["status"]), (&"cancelled".into(), &"cancelled".into()), "{tree}");
}

#[tokio::test]
async fn a_job_that_no_worker_comes_for_expires_all_the_same() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let late = api.add_one("q", "echo", json!({"ttlMs": 1, "timeoutMs": 50, "notRetried": ["timeout"]})).await;
    let urgent = api.add_one("q", "echo", json!({"ttlMs": 1, "priority": "high"})).await;
    let patient = api.add_one("q", "echo", json!({"ttlMs": 600_000})).await;
    for id in [&late, &urgent] {
        let job = api.until_job(id, "status", "failed").await;
        assert!(job["error"].as_str().unwrap().starts_with("expired: "), "{job}");
        assert_eq!(job["attemptsStarted"], 0);
    }
    assert_eq!(api.read(&format!("/jobs/{patient}")).await["status"], "pending");
    let shown: Value = api.read(&format!("/jobs/{late}")).await;
    assert_eq!(shown["opts"]["notRetried"], json!(["timeout"]));
    assert_eq!(world.until_recorded(2).await.len(), 2);
}
