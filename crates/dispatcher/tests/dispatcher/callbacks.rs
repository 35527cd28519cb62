//! Services that call back when they have done a job.

use operator_core::{CallbackAnswer, Json};
use operator_queue::worker::{Consumer, WorkerOptions};
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn a_service_ends_the_wait_of_its_job_with_the_token_for_a_key() {
    let world = World::with(&[("OPERATOR_API_KEY", "hunter2")]).await;
    let (api, queue) = (&world.dispatcher, world.queue("q").await);
    let body = json!({"name": "order"});
    let added = api.request("POST", "/queues/q/jobs").header("x-api-key", "hunter2").json(&body).send().await;
    let id = added.json()["ids"][0].as_str().unwrap().to_owned();
    let consumer = Consumer::new(queue.clone(), &WorkerOptions::new([queue.name().clone()]));
    let held = consumer.claim().await.unwrap().job.unwrap();
    let expires_ms = queue.now_ms() + 3_600_000;
    let callback = held.expect_callback(expires_ms).await.unwrap();
    held.wait_for_callback(expires_ms).await.unwrap();

    let path = |token: &str| format!("/v1/queues/q/jobs/{id}/callback/{token}");
    let right = path(&callback.token);
    assert_eq!(
        api.post(&path("guessed"), json!({"result": 1})).await.problem(),
        (404, "callback_not_found".to_owned())
    );
    for bad in [json!({}), json!({"results": 1}), json!({"failure": {"retryable": true}}), json!(null)] {
        assert_eq!(api.post(&right, bad.clone()).await.problem(), (400, "invalid_request".to_owned()), "{bad}");
    }
    assert_eq!(api.post(&right, json!({"result": {"shipped": 1.5}})).await.status, 204);
    assert_eq!(api.post(&right, json!({"result": 2})).await.problem(), (409, "job_state".to_owned()));
    assert_eq!(api.get(&right).await.problem(), (405, "method_not_allowed".to_owned()));

    let again = consumer.claim().await.unwrap().job.unwrap();
    let answer = again.expect_callback(expires_ms).await.unwrap().answer;
    assert_eq!(answer, Some(CallbackAnswer::Result(Json::from(json!({"shipped": 1.5})))));
}

#[tokio::test]
async fn a_callback_that_comes_too_late_is_told_so() {
    let world = World::new().await;
    let queue = world.queue("q").await;
    let id = world.dispatcher.add_one("q", "order", json!({})).await;
    let consumer = Consumer::new(queue.clone(), &WorkerOptions::new([queue.name().clone()]));
    let held = consumer.claim().await.unwrap().job.unwrap();
    let token = held.expect_callback(queue.now_ms()).await.unwrap().token;
    let late = world.dispatcher.post(&format!("/queues/q/jobs/{id}/callback/{token}"), json!({"result": 1})).await;
    assert_eq!(late.problem(), (410, "callback_expired".to_owned()));
}
