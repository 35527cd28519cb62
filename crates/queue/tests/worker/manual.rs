//! Processing by hand: a claim without a worker, its end, and what becomes of it when nobody ends it.

use std::time::Duration;

use operator_core::{Failure, JobOptions, JobState, Json};
use operator_queue::worker::{Claimed, Consumer, HeldJob, WorkerOptions};
use operator_queue::{Queue, QueueError, Redis, Refusal};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use serde_json::json;

use crate::journal::{journal, words};
use crate::rig::{Rig, job, options, with};

/// A lock that no test outlives.
fn patient(rig: &Rig) -> WorkerOptions {
    WorkerOptions { lock_duration: Duration::from_secs(600), ..options(&rig.queue, 1) }
}

/// A lock that is gone in a moment, and a check that may be made as often.
fn hasty(rig: &Rig) -> WorkerOptions {
    let moment = Duration::from_millis(50);
    WorkerOptions { lock_duration: moment, stalled_interval: moment, ..options(&rig.queue, 1) }
}

fn text(text: &str) -> Json {
    json!(text).into()
}

async fn rig_with(ids: &[&str]) -> (Rig, Consumer) {
    let rig = Rig::start().await;
    rig.queue.add_bulk(ids.iter().map(|id| job("echo", id)).collect()).await.unwrap();
    let consumer = Consumer::new(rig.queue.clone(), &patient(&rig));
    (rig, consumer)
}

fn held(claimed: Claimed) -> HeldJob {
    claimed.job.unwrap()
}

fn refusal<T>(answer: Result<T, QueueError>) -> Refusal {
    match answer.map(drop).unwrap_err() {
        QueueError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

async fn until_unlocked(rig: &Rig, id: &str) {
    let lock = format!("bull:q:{id}:lock");
    eventually("the lock to expire", async || (rig.raw.call(&["EXISTS", &lock]).await.int() == 0).then_some(())).await;
}

/// Checks until the ids have come back: a job must be found silent twice.
async fn recover(consumer: &Consumer, ids: &[&str]) {
    eventually("recovery", async || (consumer.check_stalled().await.ok()? == ids).then_some(())).await;
}

#[tokio::test]
async fn a_claimed_job_is_completed_or_failed_by_hand() {
    let (rig, consumer) = rig_with(&["a", "b"]).await;
    let first = held(consumer.claim().await.unwrap());
    assert_eq!((first.job().id.as_str(), first.job().attempts_started), ("a", 1));
    assert_eq!(rig.raw.call(&["GET", "bull:q:a:lock"]).await.text(), first.token());
    first.complete(text("result")).await.unwrap();
    let second = held(consumer.claim().await.unwrap());
    second.fail(Failure::retryable("boom")).await.unwrap();
    assert_eq!(refusal(second.complete(text("late")).await), Refusal::LockMissing, "a terminal state stays");

    let (done, failed) = (rig.queue.job("a").await.unwrap().unwrap(), rig.queue.job("b").await.unwrap().unwrap());
    assert_eq!(done.return_value.unwrap().as_str(), r#""result""#);
    assert_eq!(failed.failed_reason.as_deref(), Some("boom"));
    let journal = journal(&rig).await;
    assert_eq!(words(&journal, "b"), ["added", "waiting", "active", "failed", "retries-exhausted"]);
    assert_eq!(journal.last().unwrap().event, "drained");
}

#[tokio::test]
async fn an_empty_queue_says_when_to_come_back() {
    let (rig, consumer) = rig_with(&[]).await;
    let nothing = consumer.claim().await.unwrap();
    assert!(nothing.job.is_none() && nothing.next_due_ms.is_none() && nothing.limited_for.is_none());
    let later = JobOptions { delay_ms: 600_000, ..JobOptions::default() };
    rig.queue.add(with("echo", "later", later)).await.unwrap();
    let due = consumer.claim().await.unwrap().next_due_ms.unwrap();
    assert_eq!(due, rig.queue.job("later").await.unwrap().unwrap().timestamp_ms + 600_000);
}

#[tokio::test]
async fn a_job_whose_lock_expired_cannot_be_settled_and_runs_again_once() {
    let (rig, _) = rig_with(&["a"]).await;
    let consumer = Consumer::new(rig.queue.clone(), &hasty(&rig));
    let late = held(consumer.claim().await.unwrap());
    until_unlocked(&rig, "a").await;
    assert_eq!(refusal(late.complete(text("late")).await), Refusal::LockMissing);
    assert_eq!(refusal(late.extend_lock(Duration::from_secs(1)).await), Refusal::LockMissing);
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Active, "a refusal changes nothing");
    recover(&consumer, &["a"]).await;

    let again = held(Consumer::new(rig.queue.clone(), &patient(&rig)).claim().await.unwrap());
    assert_eq!((again.job().stalled, again.job().attempts_started), (1, 2));
    for answer in [
        late.complete(text("late")).await,
        late.fail(Failure::retryable("late")).await,
        late.move_to_wait().await,
        late.move_to_delayed(rig.queue.now_ms() + 1000).await,
        late.extend_lock(Duration::from_secs(1)).await,
    ] {
        let refusal = refusal(answer);
        assert!(refusal.is_lost_ownership(), "{refusal:?}");
    }
    again.complete(text("in time")).await.unwrap();
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((job.return_value.unwrap().as_str(), job.attempts_made), (r#""in time""#, 1));
}

#[tokio::test]
async fn a_dropped_job_is_recovered_and_fails_when_it_is_dropped_too_often() {
    let (rig, _) = rig_with(&["a"]).await;
    let consumer = Consumer::new(rig.queue.clone(), &hasty(&rig));
    for _ in 0..2 {
        drop(held(consumer.claim().await.unwrap()));
        until_unlocked(&rig, "a").await;
        recover(&consumer, &["a"]).await;
    }
    let last = held(consumer.claim_as("a token of mine").await.unwrap());
    let reason = consumer.must_fail(last.job()).unwrap();
    assert_eq!(reason, "job stalled more than allowable limit");
    last.fail(Failure::unrecoverable(reason)).await.unwrap();
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Failed);
}

#[tokio::test]
async fn a_lock_is_extended_by_hand() {
    let (rig, _) = rig_with(&["a"]).await;
    let consumer =
        Consumer::new(rig.queue.clone(), &WorkerOptions { lock_duration: Duration::from_secs(10), ..patient(&rig) });
    let job = held(consumer.claim().await.unwrap());
    job.extend_lock(Duration::from_secs(600)).await.unwrap();
    assert!(rig.raw.call(&["PTTL", "bull:q:a:lock"]).await.int() > 500_000);
    rig.raw.call(&["SET", "bull:q:a:lock", "another"]).await.ok();
    assert!(refusal(job.extend_lock(Duration::from_secs(600)).await).is_lost_ownership());
    assert_eq!(refusal(job.complete(text("late")).await), Refusal::LockMismatch);
}

#[tokio::test]
async fn ending_one_job_claims_the_next_under_the_same_token() {
    let (rig, consumer) = rig_with(&["a", "b", "c"]).await;
    let first = held(consumer.claim_as("mine").await.unwrap());
    let second = held(first.complete_and_claim(&consumer, text("first")).await.unwrap());
    assert_eq!((second.job().id.as_str(), second.token()), ("b", "mine"));
    let third = held(second.fail_and_claim(&consumer, Failure::unrecoverable("no")).await.unwrap());
    let nothing = third.complete_and_claim(&consumer, text("third")).await.unwrap();
    assert!(nothing.job.is_none());
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.of(JobState::Completed), counts.of(JobState::Failed)), (2, 1));
    rig.queue.add(job("echo", "d")).await.unwrap();
    assert_eq!(refusal(first.complete_and_claim(&consumer, text("twice")).await), Refusal::LockMissing);
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.of(JobState::Waiting), counts.of(JobState::Active)), (1, 0), "nobody would know of the job");
}

#[tokio::test]
async fn a_job_is_taken_up_by_its_token_elsewhere() {
    let (rig, consumer) = rig_with(&["a", "b"]).await;
    let here = held(consumer.claim().await.unwrap());
    let redis = Redis::connect(&rig.config).await.unwrap();
    let elsewhere = Consumer::new(Queue::new(&redis, rig.queue.name().clone()), &patient(&rig));
    let there = elsewhere.resume("a", here.token()).await.unwrap();
    there.complete(text("there")).await.unwrap();
    assert_eq!(refusal(here.complete(text("here")).await), Refusal::LockMissing);
    assert_eq!(refusal(elsewhere.resume("nobody", "x").await), Refusal::JobMissing);

    let _held = held(consumer.claim().await.unwrap());
    let wrong = elsewhere.resume("b", "a guess").await.unwrap();
    assert_eq!(refusal(wrong.complete(text("stolen")).await), Refusal::LockMismatch);
    assert_eq!(rig.queue.state("b").await.unwrap(), JobState::Active);
}

#[tokio::test]
async fn bullmq_ends_what_we_claimed_and_we_end_what_it_claimed() {
    let (rig, consumer) = rig_with(&["ours", "theirs"]).await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let ours = held(consumer.claim().await.unwrap());
    node.job("q", "ours", "moveToCompleted", json!([{ "by": "node" }, ours.token(), false])).await;
    assert_eq!(rig.queue.job("ours").await.unwrap().unwrap().return_value.unwrap().as_str(), r#"{"by":"node"}"#);
    assert_eq!(refusal(ours.complete(text("late")).await), Refusal::LockMissing);

    node.call("startWorker", json!({ "queue": "q", "autorun": false })).await;
    let claim = json!({ "target": "worker", "worker": "q", "method": "getNextJob", "args": ["token of node"] });
    assert_eq!(node.call("call", claim).await["id"], "theirs");
    let theirs = consumer.resume("theirs", "token of node").await.unwrap();
    theirs.complete(text("ours")).await.unwrap();
    let read = node.call("getJob", json!({ "queue": "q", "jobId": "theirs" })).await;
    assert_eq!((&read["returnvalue"], &read["attemptsMade"]), (&json!("ours"), &json!(1)));
}

#[tokio::test]
async fn a_held_job_moves_itself_by_hand() {
    let (rig, consumer) = rig_with(&["later", "again", "parent"]).await;
    let later = held(consumer.claim().await.unwrap());
    later.move_to_delayed(rig.queue.now_ms() + 600_000).await.unwrap();
    assert_eq!(rig.queue.state("later").await.unwrap(), JobState::Delayed);
    let again = held(consumer.claim().await.unwrap());
    again.move_to_wait().await.unwrap();
    assert!(again.has_moved());
    assert_eq!(refusal(again.complete(text("late")).await), Refusal::LockMissing);
    let again = held(consumer.claim().await.unwrap());
    assert_eq!((again.job().id.as_str(), again.job().attempts_started, again.job().attempts_made), ("again", 2, 0));
    again.complete(text("done")).await.unwrap();
    let parent = held(consumer.claim().await.unwrap());
    assert!(!parent.move_to_waiting_children(None).await.unwrap());
    assert!(!parent.has_moved());
    parent.complete(text("alone")).await.unwrap();
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Completed), 2);
}
