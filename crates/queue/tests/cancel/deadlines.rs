//! Attempts that take too long or fall silent, and jobs that nobody starts in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use operator_core::{Failure, JobOptions, JobState, JobStatus, Json};
use operator_queue::RetryOptions;
use operator_queue::worker::{ClaimedJob, StopCause, WorkerOptions};
use operator_testkit::{BullMq, NodePeer};
use serde_json::json;

use crate::rig::{Rig, job, options, with, worker_of};
use crate::{finished, status};

const SHORT: Duration = Duration::from_millis(20);

fn hasty(rig: &Rig) -> WorkerOptions {
    WorkerOptions { cancel_grace: SHORT, ..options(&rig.queue, 4) }
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_fails_and_another_follows() {
    let rig = Rig::start().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let worker = worker_of(&rig.config, hasty(&rig), move |claimed: ClaimedJob| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if run == 0 {
                assert!(claimed.watch.deadline().is_some());
                claimed.cancelled.cancelled().await;
                assert_eq!(claimed.watch.cause(), Some(StopCause::TimedOut));
                // What comes after the deadline does not count.
                return Ok(json!("late").into());
            }
            Ok(Json::null())
        }
    })
    .await;
    rig.queue
        .add(with("x", "a", JobOptions { attempts: 2, timeout_ms: Some(30), ..JobOptions::default() }))
        .await
        .unwrap();
    let (job, state) = finished(&rig.queue, "a").await;
    assert_eq!((state, job.attempts_made), (JobState::Completed, 2));
    assert_eq!(job.stacktrace, ["timed out after 30 ms"]);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_failure_whose_code_is_listed_is_not_retried() {
    let rig = Rig::start().await;
    let worker = worker_of(&rig.config, WorkerOptions { timeout: Some(SHORT), ..hasty(&rig) }, async |claimed| {
        match claimed.job.name.as_str() {
            "hang" => std::future::pending().await,
            _ => Err(Failure::retryable("boom").with_code("no_such_thing")),
        }
    })
    .await;
    let listed = |code: &str| JobOptions { attempts: 3, not_retried: vec![code.to_owned()], ..JobOptions::default() };
    for (name, id, code, attempts) in
        [("hang", "a", "timeout", 1), ("fail", "b", "no_such_thing", 1), ("fail", "c", "another", 3)]
    {
        rig.queue.add(with(name, id, listed(code))).await.unwrap();
        let (job, state) = finished(&rig.queue, id).await;
        assert_eq!((state, job.attempts_made), (JobState::Failed, attempts), "{id}");
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_falls_silent_fails_and_one_that_shows_itself_does_not() {
    let rig = Rig::start().await;
    let worker = worker_of(&rig.config, hasty(&rig), async |claimed: ClaimedJob| {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            if claimed.job.name == "alive" {
                claimed.watch.beat();
            }
        }
        Ok(Json::null())
    })
    .await;
    let opts = || JobOptions { heartbeat_timeout_ms: Some(250), ..JobOptions::default() };
    rig.queue.add_bulk(vec![with("alive", "a", opts()), with("silent", "b", opts())]).await.unwrap();
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Completed);
    let (job, state) = finished(&rig.queue, "b").await;
    assert_eq!(state, JobState::Failed);
    assert_eq!(job.failed_reason.as_deref(), Some("gave no sign of life for 250 ms"));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_blocks_its_thread_beyond_its_time_is_failed_without_it() {
    let rig = Rig::start().await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let worker = worker_of(&rig.config, hasty(&rig), move |_| {
        let released = Arc::clone(&released);
        async move {
            let _ = released.lock().unwrap().recv();
            Ok(Json::null())
        }
    })
    .await;
    rig.queue.add(with("block", "a", JobOptions { timeout_ms: Some(20), ..JobOptions::default() })).await.unwrap();
    let (job, state) = finished(&rig.queue, "a").await;
    assert_eq!((state, job.failed_reason.as_deref()), (JobState::Failed, Some("timed out after 20 ms")));
    drop(release);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_nobody_starts_in_time_expires_without_running() {
    let rig = Rig::start().await;
    let past = rig.queue.now_ms() - 1;
    let default = JobOptions::default;
    let late = [
        ("a", JobOptions { ttl_ms: Some(1), attempts: 5, ..default() }),
        ("b", JobOptions { expires_at_ms: Some(past), attempts: 5, ..default() }),
    ];
    for (id, opts) in late {
        rig.queue.add(with("echo", id, opts)).await.unwrap();
    }
    rig.queue.add(with("echo", "c", JobOptions { ttl_ms: Some(600_000), ..default() })).await.unwrap();
    let delayed = JobOptions { ttl_ms: Some(60_000), delay_ms: 30, ..default() };
    rig.queue.add(with("echo", "d", delayed)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let worker = rig.worker(2).await;
    for id in ["a", "b"] {
        let (job, state) = finished(&rig.queue, id).await;
        assert_eq!((state, job.attempts_made), (JobState::Failed, 1), "{id}");
        assert!(job.failed_reason.unwrap().starts_with("expired: it was not started by 20"));
    }
    assert_eq!(status(&rig.queue, "c").await, JobStatus::Completed);
    assert_eq!(status(&rig.queue, "d").await, JobStatus::Completed);
    // Put back in line by hand, it has its time anew; one whose moment has passed has all of it.
    rig.queue.retry("b", RetryOptions::AFRESH).await.unwrap();
    assert_eq!(status(&rig.queue, "b").await, JobStatus::Completed);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_waits_where_no_worker_is_can_be_expired_too() {
    let rig = Rig::start().await;
    let opts = |ttl_ms| JobOptions { ttl_ms: Some(ttl_ms), ..JobOptions::default() };
    rig.queue
        .add_bulk(vec![with("echo", "a", opts(1)), with("echo", "b", opts(600_000)), job("echo", "c")])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let found = rig.queue.expire_waiting(0).await.unwrap();
    assert_eq!(found.expired, 1);
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Failed);
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 2);
}

#[tokio::test]
async fn bullmq_keeps_the_options_it_does_not_know_and_runs_the_job() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let opts = JobOptions {
        timeout_ms: Some(1000),
        ttl_ms: Some(2000),
        expires_at_ms: Some(4_000_000_000_000),
        heartbeat_timeout_ms: Some(3000),
        not_retried: vec!["gone".to_owned()],
        ..JobOptions::default()
    };
    rig.queue.add(with("echo", "a", opts.clone())).await.unwrap();
    let read = node.call("getJob", json!({ "queue": "q", "jobId": "a" })).await;
    assert_eq!(read["opts"]["timeoutMs"], json!(1000));
    let theirs = json!({ "timeoutMs": 1000, "ttlMs": 2000, "expiresAt": 4_000_000_000_000u64, "heartbeatTimeoutMs": 3000,
        "notRetried": ["gone"], "jobId": "b" });
    node.call("add", json!({ "queue": "q", "name": "echo", "data": {}, "opts": theirs })).await;
    let read = rig.queue.job("b").await.unwrap().unwrap().opts;
    assert_eq!((read.timeout_ms, read.ttl_ms, read.expires_at_ms), (opts.timeout_ms, opts.ttl_ms, opts.expires_at_ms));
    assert_eq!((read.heartbeat_timeout_ms, read.not_retried), (opts.heartbeat_timeout_ms, opts.not_retried));
    node.call("startWorker", json!({ "queue": "q" })).await;
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Completed);
}
