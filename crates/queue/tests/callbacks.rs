//! Jobs that wait, without a slot, for a service to call back.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;

use operator_core::{CallbackAnswer, CallbackFailure, JobState, Json};
use operator_queue::worker::{Consumer, HeldJob};
use operator_queue::{CallbackError, QueueError, RetryOptions};
use operator_testkit::wait::eventually;
use rig::{Rig, job, options};
use serde_json::json;

/// Late enough that no test sees it come.
const HOUR_MS: u64 = 3_600_000;

async fn held(consumer: &Consumer) -> HeldJob {
    eventually("a job to claim", async || consumer.claim().await.unwrap().job).await
}

async fn rig_with_job() -> (Rig, Consumer) {
    let rig = Rig::start().await;
    rig.queue.add(job("order", "j")).await.unwrap();
    let consumer = Consumer::new(rig.queue.clone(), &options(&rig.queue, 1));
    (rig, consumer)
}

fn result(value: serde_json::Value) -> CallbackAnswer {
    CallbackAnswer::Result(value.into())
}

#[tokio::test]
async fn a_parked_job_runs_again_in_its_attempt_and_finds_the_answer() {
    let (rig, consumer) = rig_with_job().await;
    let expires_ms = rig.queue.now_ms() + HOUR_MS;
    let first = held(&consumer).await;
    let callback = first.expect_callback(expires_ms).await.unwrap();
    assert_eq!((callback.expires_ms, callback.answer), (expires_ms, None));
    first.wait_for_callback(expires_ms).await.unwrap();
    assert_eq!(rig.queue.state("j").await.unwrap(), JobState::Delayed);

    rig.queue.call_back("j", &callback.token, &result(json!({"shipped": true}))).await.unwrap();
    assert_eq!(rig.queue.state("j").await.unwrap(), JobState::Waiting);
    let again = held(&consumer).await;
    assert_eq!(again.job().attempts_made, 0);
    let found = again.expect_callback(1).await.unwrap();
    assert_eq!((found.token, found.expires_ms), (callback.token, expires_ms));
    assert_eq!(found.answer, Some(result(json!({"shipped": true}))));
    again.complete(Json::from(json!("done"))).await.unwrap();
    assert_eq!(rig.queue.job("j").await.unwrap().unwrap().attempts_made, 1);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_job_is_parked_lets_it_run_at_once() {
    let (rig, consumer) = rig_with_job().await;
    let expires_ms = rig.queue.now_ms() + HOUR_MS;
    let first = held(&consumer).await;
    let callback = first.expect_callback(expires_ms).await.unwrap();
    rig.queue.call_back("j", &callback.token, &result(json!(1))).await.unwrap();
    assert_eq!(rig.queue.state("j").await.unwrap(), JobState::Active);
    first.wait_for_callback(expires_ms).await.unwrap();
    let again = held(&consumer).await;
    assert_eq!(again.expect_callback(1).await.unwrap().answer, Some(result(json!(1))));
}

#[tokio::test]
async fn only_the_first_answer_with_the_token_is_taken_and_only_in_time() {
    let (rig, consumer) = rig_with_job().await;
    let first = held(&consumer).await;
    let callback = first.expect_callback(rig.queue.now_ms() + HOUR_MS).await.unwrap();
    let call = async |id: &str, token: &str| rig.queue.call_back(id, token, &result(json!(1))).await;
    assert!(matches!(call("j", "guessed").await, Err(CallbackError::Unknown)));
    assert!(matches!(call("k", &callback.token).await, Err(CallbackError::Unknown)));
    assert!(matches!(call("meta", &callback.token).await, Err(CallbackError::Unknown)));
    call("j", &callback.token).await.unwrap();
    assert!(matches!(call("j", &callback.token).await, Err(CallbackError::Answered)));
    first.complete(Json::null()).await.unwrap();
    assert!(matches!(call("j", &callback.token).await, Err(CallbackError::Answered)));

    rig.queue.add(job("order", "late")).await.unwrap();
    let late = held(&consumer).await.expect_callback(rig.queue.now_ms()).await.unwrap();
    assert!(matches!(call("late", &late.token).await, Err(CallbackError::Expired)));
}

#[tokio::test]
async fn every_attempt_waits_with_a_callback_of_its_own() {
    let (rig, consumer) = rig_with_job().await;
    let first = held(&consumer).await;
    let expires_ms = rig.queue.now_ms() + HOUR_MS;
    let callback = first.expect_callback(expires_ms).await.unwrap();
    let failure = CallbackAnswer::Failure(CallbackFailure { message: "no stock".to_owned(), retryable: false });
    rig.queue.call_back("j", &callback.token, &failure).await.unwrap();
    first.fail(operator_core::Failure::unrecoverable("no stock")).await.unwrap();

    let again = RetryOptions { reset_attempts_made: true, ..RetryOptions::default() };
    rig.queue.retry("j", again).await.unwrap();
    let second = held(&consumer).await;
    let other = second.expect_callback(expires_ms).await.unwrap();
    assert!(other.token != callback.token && other.answer.is_none());
}

#[tokio::test]
async fn whoever_lost_the_job_cannot_have_it_wait() {
    let (rig, consumer) = rig_with_job().await;
    let first = held(&consumer).await;
    rig.raw.call(&["SET", "bull:q:j:lock", "another"]).await;
    let refused = first.expect_callback(rig.queue.now_ms() + HOUR_MS).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused { refusal, .. } if refusal.is_lost_ownership()));
    assert_eq!(rig.raw.call(&["HEXISTS", "bull:q:j", "operator:callback"]).await.int(), 0);
}
