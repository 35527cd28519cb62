//! Whether another attempt follows: failures that end a job, waits of the worker's own, and a limit on starts (I4).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use operator_core::{Backoff, BackoffKind, Failure, JobOptions, JobState};
use operator_queue::worker::{BackoffStrategy, WorkerOptions};

use crate::journal::{journal, words};
use crate::rig::{Rig, job, options, with};
use crate::worker_of;

fn custom(attempts: u32) -> JobOptions {
    let backoff = Backoff { kind: BackoffKind::Custom("mine".to_owned()), ..Backoff::fixed(7) };
    JobOptions { attempts, backoff: Some(backoff), ..JobOptions::default() }
}

#[tokio::test]
async fn an_unrecoverable_failure_ends_a_job_with_attempts_left() {
    let rig = Rig::start().await;
    rig.queue.add(with("fatal", "a", JobOptions { attempts: 5, ..JobOptions::default() })).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Failed, 1).await;
    let failed = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((failed.attempts_made, failed.failed_reason.as_deref()), (1, Some("no use")));
    assert!(!words(&journal(&rig).await, "a").contains(&"retries-exhausted"));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_strategy_of_the_workers_own_decides_the_waits_and_the_end() {
    let rig = Rig::start().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let strategy = BackoffStrategy::new(move |job, attempts, failure| {
        let delay_ms = job.opts.backoff.as_ref().map(|backoff| backoff.delay_ms);
        seen.lock().unwrap().push((attempts, failure.message.clone(), delay_ms));
        match attempts {
            1 => Some(Duration::ZERO),
            2 => Some(Duration::from_millis(150)),
            _ => None,
        }
    });
    rig.queue.add(with("fail", "a", custom(10))).await.unwrap();
    let worker = rig.worker_with(WorkerOptions { backoff: Some(strategy), ..options(&rig.queue, 1) }).await;
    rig.until(JobState::Failed, 1).await;
    let failed = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((failed.attempts_made, failed.failed_reason.as_deref()), (3, Some("it failed")));
    let expected: Vec<_> = (1..=3).map(|attempt| (attempt, "it failed".to_owned(), Some(7))).collect();
    assert_eq!(*asked.lock().unwrap(), expected);
    let journal = journal(&rig).await;
    assert_eq!(
        words(&journal, "a"),
        ["added", "waiting", "active", "waiting", "active", "delayed", "waiting", "active", "failed"]
    );
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_strategy_that_panics_fails_its_job_and_nothing_else() {
    let rig = Rig::start().await;
    let strategy = BackoffStrategy::new(|_, _, _| panic!("no idea"));
    rig.queue.add_bulk(vec![with("fail", "a", custom(3)), job("echo", "b")]).await.unwrap();
    let worker = rig.worker_with(WorkerOptions { backoff: Some(strategy), ..options(&rig.queue, 1) }).await;
    rig.until(JobState::Failed, 1).await;
    rig.until(JobState::Completed, 1).await;
    let reason = rig.queue.job("a").await.unwrap().unwrap().failed_reason.unwrap();
    assert!(reason.starts_with("it failed (not retried: ") && reason.contains("panicked"), "{reason}");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_strategy_does_not_decide_for_kinds_that_have_a_wait() {
    let rig = Rig::start().await;
    let strategy = BackoffStrategy::new(|_, _, _| None);
    let fixed = JobOptions { attempts: 2, backoff: Some(Backoff::fixed(1)), ..JobOptions::default() };
    rig.queue.add(with("flaky", "a", fixed)).await.unwrap();
    let worker = rig.worker_with(WorkerOptions { backoff: Some(strategy), ..options(&rig.queue, 1) }).await;
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_wait_beyond_all_bounds_is_as_long_as_a_delay_may_be() {
    let rig = Rig::start().await;
    let strategy = BackoffStrategy::new(|_, _, _| Some(Duration::MAX));
    rig.queue.add(with("fail", "a", custom(2))).await.unwrap();
    let worker = rig.worker_with(WorkerOptions { backoff: Some(strategy), ..options(&rig.queue, 1) }).await;
    rig.until(JobState::Delayed, 1).await;
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().delay_ms, JobOptions::MAX_DELAY_MS);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_was_started_too_often_fails_without_running() {
    let rig = Rig::start().await;
    let runs = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&runs);
    rig.queue.add(with("again", "a", JobOptions { attempts: 5, ..JobOptions::default() })).await.unwrap();
    let limited = WorkerOptions { max_started_attempts: Some(2), ..options(&rig.queue, 1) };
    let worker = worker_of(&rig.config, limited, move |claimed| {
        let counted = Arc::clone(&counted);
        async move {
            *counted.lock().unwrap() += 1;
            claimed.hold.move_to_wait().await?;
            Err(Failure::moved())
        }
    })
    .await;
    rig.until(JobState::Failed, 1).await;
    let failed = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!(failed.failed_reason.as_deref(), Some("job started more than allowable limit"));
    assert_eq!((failed.attempts_made, failed.attempts_started, *runs.lock().unwrap()), (1, 3, 2));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn no_attempt_follows_the_last_start_that_is_allowed() {
    let rig = Rig::start().await;
    rig.queue.add(with("fail", "a", JobOptions { attempts: 5, ..JobOptions::default() })).await.unwrap();
    let limited = WorkerOptions { max_started_attempts: Some(2), ..options(&rig.queue, 1) };
    let worker = rig.worker_with(limited).await;
    rig.until(JobState::Failed, 1).await;
    let failed = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((failed.attempts_made, failed.failed_reason.as_deref()), (2, Some("it failed")));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_says_it_moved_and_did_not_fails() {
    let rig = Rig::start().await;
    rig.queue.add(with("liar", "a", JobOptions { attempts: 5, ..JobOptions::default() })).await.unwrap();
    rig.queue.add(job("liar", "b")).await.unwrap();
    let worker = worker_of(&rig.config, options(&rig.queue, 1), |_| async { Err(Failure::moved()) }).await;
    rig.until(JobState::Failed, 2).await;
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().attempts_made, 1);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn waits_with_jitter_differ_and_keep_to_their_share() {
    const JOBS: u64 = 20;
    let rig = Rig::start().await;
    let backoff = Backoff { jitter: Some(0.5), ..Backoff::fixed(600_000) };
    let opts = JobOptions { attempts: 2, backoff: Some(backoff), ..JobOptions::default() };
    rig.queue
        .add_bulk((0..JOBS).map(|number| with("fail", &format!("n{number}"), opts.clone())).collect())
        .await
        .unwrap();
    let worker = rig.worker(5).await;
    rig.until(JobState::Delayed, JOBS).await;
    let mut waits = Vec::new();
    for number in 0..JOBS {
        waits.push(rig.queue.job(&format!("n{number}")).await.unwrap().unwrap().delay_ms);
    }
    assert!(waits.iter().all(|wait| (300_000..=600_000).contains(wait)), "{waits:?}");
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 10, "{waits:?}");
    worker.stop(Duration::ZERO).await;
}
