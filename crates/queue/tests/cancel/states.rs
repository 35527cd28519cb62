//! Cancelling jobs that do not run.

use std::collections::BTreeSet;
use std::time::Duration;

use operator_core::{Deduplication, JobOptions, JobState, JobStatus, Keep, Outcome, Priority};
use operator_queue::history::HistoryReader;
use operator_queue::{CancelOptions, CancelStage, QueueError, Refusal, RetryOptions};
use operator_testkit::{BullMq, NodePeer};
use serde_json::json;

use crate::rig::{Rig, job, with};
use crate::{finished, status};

fn refusal<T>(answer: Result<T, QueueError>) -> Refusal {
    match answer.map(drop).unwrap_err() {
        QueueError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

async fn cancel(rig: &Rig, id: &str) -> Result<CancelStage, QueueError> {
    rig.queue.cancel(id, "no longer wanted", CancelOptions::default()).await.map(|done| done.stage)
}

#[tokio::test]
async fn a_job_that_does_not_run_is_cancelled_at_once() {
    let rig = Rig::start().await;
    let mut history = HistoryReader::new(&rig.redis, "test");
    history.follow(BTreeSet::from([rig.queue.name().clone()])).await.unwrap();
    let default = JobOptions::default;
    let priority = Priority::new(3).unwrap();
    for (id, state, opts) in [
        ("plain", JobState::Waiting, default()),
        ("urgent", JobState::Prioritized, JobOptions { priority, ..default() }),
        ("later", JobState::Delayed, JobOptions { delay_ms: 600_000, attempts: 5, ..default() }),
    ] {
        rig.queue.add(with("echo", id, opts)).await.unwrap();
        assert_eq!(rig.queue.state(id).await.unwrap(), state);
        assert_eq!(cancel(&rig, id).await.unwrap(), CancelStage::Ended);
        let (job, now) = finished(&rig.queue, id).await;
        assert_eq!((now, job.status(now)), (JobState::Failed, JobStatus::Cancelled));
        assert_eq!(job.failed_reason.as_deref(), Some("cancelled: no longer wanted"));
        assert_eq!((job.attempts_made, job.attempts_started), (0, 0));
        assert_eq!(refusal(cancel(&rig, id).await), Refusal::WrongState, "it has finished");
        let record = history.read(10, Duration::from_secs(5)).await.unwrap().remove(0).records.remove(0);
        assert_eq!((record.id.as_str(), record.finished_ms), (id, job.finished_ms.unwrap()));
        assert_eq!(record.attempts_made, 0);
        assert!(matches!(record.outcome, Outcome::Cancelled { error, .. } if error == "cancelled: no longer wanted"));
    }
    assert_eq!(refusal(cancel(&rig, "nobody").await), Refusal::JobMissing);
    let ends: Vec<_> = rig.events().await.into_iter().filter(|event| event.starts_with("failed")).collect();
    assert_eq!(ends, ["failed plain", "failed urgent", "failed later"]);
    let worker = rig.worker(1).await;
    rig.queue.add(job("echo", "last")).await.unwrap();
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
    assert!(!rig.events().await.iter().any(|event| event == "active plain"));
}

#[tokio::test]
async fn a_cancelled_job_that_is_put_back_in_line_runs_and_is_cancelled_no_more() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    rig.queue.add(job("fail", "b")).await.unwrap();
    for id in ["a", "b"] {
        cancel(&rig, id).await.unwrap();
        rig.queue.retry(id, RetryOptions::AFRESH).await.unwrap();
    }
    let worker = rig.worker(1).await;
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Completed);
    assert_eq!(status(&rig.queue, "b").await, JobStatus::Failed);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn bullmq_reads_a_cancelled_job_as_failed_and_can_run_it_again() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    rig.queue.add(with("echo", "a", JobOptions { delay_ms: 600_000, ..JobOptions::default() })).await.unwrap();
    cancel(&rig, "a").await.unwrap();
    let read = node.call("getJob", json!({ "queue": "q", "jobId": "a" })).await;
    assert_eq!(read["failedReason"], json!("cancelled: no longer wanted"));
    assert_eq!(node.call("getJobState", json!({ "queue": "q", "jobId": "a" })).await, json!("failed"));
    node.call("retryJob", json!({ "queue": "q", "jobId": "a" })).await;
    let worker = rig.worker(1).await;
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Completed);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn what_a_cancelled_job_holds_is_let_go() {
    let rig = Rig::start().await;
    let deduplication = Some(Deduplication { id: "d".to_owned(), ..Deduplication::default() });
    let opts = JobOptions { deduplication, remove_on_fail: Some(Keep::Nothing), ..JobOptions::default() };
    rig.queue.add(with("echo", "a", opts.clone())).await.unwrap();
    assert_eq!(rig.queue.add(with("echo", "b", opts.clone())).await.unwrap().as_str(), "a");
    cancel(&rig, "a").await.unwrap();
    assert!(rig.queue.job("a").await.unwrap().is_none(), "its own policy keeps nothing");
    assert_eq!(rig.queue.add(with("echo", "b", opts)).await.unwrap().as_str(), "b");
}

#[tokio::test]
async fn a_schedulers_next_job_is_ended_with_its_scheduler_only() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let scheduler =
        json!({ "queue": "q", "schedulerId": "s", "repeat": { "every": 600_000 }, "template": { "name": "x" } });
    node.call("upsertScheduler", scheduler).await;
    let keys = rig.raw.call(&["KEYS", "bull:q:repeat:s:*"]).await;
    let id = keys.list()[0].text().trim_start_matches("bull:q:").to_owned();
    assert_eq!(refusal(cancel(&rig, &id).await), Refusal::BelongsToScheduler);
}

#[tokio::test]
async fn a_reason_is_bounded_and_may_be_missing() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    let long = rig.queue.cancel("a", &"x".repeat(1001), CancelOptions::default()).await;
    assert!(matches!(long, Err(QueueError::InvalidArgument { field: "reason", .. })));
    rig.queue.cancel("a", "", CancelOptions::default()).await.unwrap();
    assert_eq!(finished(&rig.queue, "a").await.0.failed_reason.as_deref(), Some("cancelled"));
}
