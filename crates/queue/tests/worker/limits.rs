//! Limits hold over all workers of a queue, and nobody's death uses them up (I5).

use std::time::Duration;

use operator_core::{Failure, JobOptions, JobState};
use operator_queue::worker::{Consumer, RateLimit, WorkerOptions};
use operator_testkit::wait::eventually;

use crate::journal::{journal, most_at_a_time, starts, words};
use crate::rig::{Rig, Script, job, options, with};
use crate::{Gate, done, worker_of};

fn limiter(max: u64, ms: u64) -> Option<RateLimit> {
    Some(RateLimit { max, duration: Duration::from_millis(ms) })
}

/// Every window opens when the one before has closed, so the first job beyond n full windows starts n windows after the
/// first job or later. Half a window is granted for a server that is put to sleep between the two clocks it reads.
pub(crate) fn assert_rate(starts: &[u64], max: usize, window_ms: u64) {
    for (window, first) in starts.iter().step_by(max).enumerate() {
        assert!(first - starts[0] + window_ms / 2 >= window as u64 * window_ms, "window {window}: {starts:?}");
    }
}

#[tokio::test]
async fn two_workers_share_one_limiter() {
    let rig = Rig::start().await;
    let limited = WorkerOptions { limiter: limiter(5, 200), ..options(&rig.queue, 10) };
    let first = rig.worker_with(limited.clone()).await;
    let second = rig.worker_with(limited).await;
    rig.queue.add_bulk((0..32).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 32).await;
    assert_rate(&starts(&journal(&rig).await), 5, 200);
    first.stop(Duration::ZERO).await;
    second.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn the_queues_own_rate_goes_before_that_of_its_workers() {
    let rig = Rig::start().await;
    rig.queue.set_global_rate_limit(limiter(3, 200).unwrap()).await.unwrap();
    assert_eq!(rig.queue.global_rate_limit().await.unwrap(), limiter(3, 200));
    let worker = rig.worker_with(WorkerOptions { limiter: limiter(100, 200), ..options(&rig.queue, 10) }).await;
    rig.queue.add_bulk((0..10).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 10).await;
    assert_rate(&starts(&journal(&rig).await), 3, 200);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_limiter_does_not_outlive_the_holders_that_filled_it() {
    let rig = Rig::start().await;
    let limited = WorkerOptions { limiter: limiter(2, 300), ..options(&rig.queue, 4) };
    rig.queue.add_bulk((0..8).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    // Who claims and is never heard of again.
    let dead = Consumer::new(
        rig.queue.clone(),
        &WorkerOptions { lock_duration: Duration::from_millis(50), ..limited.clone() },
    );
    assert!(dead.claim().await.unwrap().job.is_some());
    assert!(dead.claim().await.unwrap().job.is_some());
    let third = dead.claim().await.unwrap();
    assert!(third.job.is_none() && third.limited_for.is_some());
    assert!(rig.queue.rate_limit_ttl(Some(2)).await.unwrap().is_some());
    assert!(rig.raw.call(&["PTTL", "bull:q:limiter"]).await.int() > 0, "a count that never ends");

    // Another that dies while it is held back, jobs in its hands.
    let gate = Gate::closed();
    let passed = gate.clone();
    let held = worker_of(&rig.config, limited.clone(), move |_| {
        let gate = passed.clone();
        async move {
            gate.pass().await;
            done()
        }
    });
    let held = held.await;
    let status = held.status();
    eventually("two jobs in its hands", async || (status.busy() == 2).then_some(())).await;
    drop(held);

    let worker = rig.worker_with(WorkerOptions { lock_duration: Duration::from_secs(1), ..limited }).await;
    rig.until(JobState::Completed, 8).await;
    let journal = journal(&rig).await;
    assert_rate(&starts(&journal), 2, 300);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_can_let_its_queue_rest() {
    let rig = Rig::start().await;
    rig.queue.pause().await.unwrap();
    rig.queue.add(job("tired", "a")).await.unwrap();
    rig.queue.add_bulk((0..5).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    let run = |claimed: operator_queue::worker::ClaimedJob| async move {
        if claimed.job.name == "tired" && claimed.job.attempts_started == 1 {
            claimed.hold.rate_limit(Duration::from_millis(400)).await?;
            return Err(Failure::moved());
        }
        done()
    };
    // One slot over both, so that nothing else is on its way when the queue is told to rest.
    rig.queue.set_global_concurrency(1).await.unwrap();
    let workers = [
        worker_of(&rig.config, options(&rig.queue, 2), run).await,
        worker_of(&rig.config, options(&rig.queue, 2), run).await,
    ];
    rig.queue.resume().await.unwrap();
    rig.until(JobState::Completed, 6).await;
    let journal = journal(&rig).await;
    let starts = starts(&journal);
    assert_rate(&starts[..2], 1, 400);
    assert_eq!(words(&journal, "a"), ["added", "waiting", "active", "waiting", "active", "completed"]);
    let tired = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((tired.attempts_made, tired.attempts_started), (1, 2), "the attempt that rested does not count");
    assert!(workers.iter().all(|worker| worker.status().lost() == 0));
    for worker in workers {
        worker.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_rest_can_be_ended_early() {
    let rig = Rig::start().await;
    rig.queue.rate_limit(Duration::from_secs(600)).await.unwrap();
    rig.queue.add(job("echo", "a")).await.unwrap();
    let consumer = Consumer::new(rig.queue.clone(), &options(&rig.queue, 1));
    let claimed = consumer.claim().await.unwrap();
    assert!(claimed.job.is_none() && claimed.limited_for.unwrap() > Duration::from_secs(500));
    assert!(rig.queue.remove_rate_limit().await.unwrap());
    assert!(!rig.queue.remove_rate_limit().await.unwrap());
    assert!(consumer.claim().await.unwrap().job.is_some());
}

#[tokio::test]
async fn no_more_jobs_run_than_the_queue_allows_whatever_becomes_of_them() {
    let rig = Rig::start().await;
    rig.queue.set_global_concurrency(3).await.unwrap();
    let run = |claimed: operator_queue::worker::ClaimedJob| async move {
        match (claimed.job.name.as_str(), claimed.job.attempts_started) {
            ("later", 1) => {
                claimed.hold.move_to_delayed(claimed.queue.now_ms() + 20).await?;
                Err(Failure::moved())
            }
            ("again", 1) => {
                claimed.hold.move_to_wait().await?;
                Err(Failure::moved())
            }
            ("flaky", 1) => Err(Failure::retryable("not yet")),
            _ => done(),
        }
    };
    let workers = [
        worker_of(&rig.config, options(&rig.queue, 10), run).await,
        worker_of(&rig.config, options(&rig.queue, 10), run).await,
    ];
    let twice = JobOptions { attempts: 2, ..JobOptions::default() };
    let names = ["echo", "later", "again", "flaky"];
    let jobs = (0..100).map(|number| with(names[number % 4], &format!("j{number}"), twice.clone()));
    rig.queue.add_bulk(jobs.collect()).await.unwrap();
    rig.until(JobState::Completed, 100).await;
    assert!(most_at_a_time(&journal(&rig).await) <= 3);
    for worker in workers {
        assert_eq!(worker.status().lost(), 0);
        worker.stop(Duration::ZERO).await;
    }
}

/// Two workers and one slot of the queue. The first holds it and is paused; the second sleeps for longer than the test.
async fn a_freed_slot_wakes_the_other(move_away: bool) {
    let rig = Rig::start().await;
    rig.queue.set_global_concurrency(1).await.unwrap();
    let gate = Gate::closed();
    let passed = gate.clone();
    let sleepy = |name: &str| WorkerOptions {
        idle_wait: Duration::from_secs(300),
        stalled_interval: Duration::from_secs(300),
        name: Some(name.to_owned()),
        ..options(&rig.queue, 1)
    };
    let holder = worker_of(&rig.config, sleepy("holder"), move |claimed| {
        let gate = passed.clone();
        async move {
            gate.pass().await;
            if move_away {
                claimed.hold.move_to_delayed(claimed.queue.now_ms() + 600_000).await?;
                return Err(Failure::moved());
            }
            done()
        }
    })
    .await;
    rig.queue.add(job("held", "a")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    let other = rig.worker_with(sleepy("other")).await;
    rig.queue.add(job("echo", "b")).await.unwrap();
    // The marker is gone once somebody has looked, and has found no free slot.
    eventually("the marker to be taken", async || {
        (rig.raw.call(&["EXISTS", "bull:q:marker"]).await.int() == 0).then_some(())
    })
    .await;
    holder.pause();
    gate.let_through(1);
    eventually("the other to take the slot", async || {
        (rig.queue.state("b").await.ok()? == JobState::Completed).then_some(())
    })
    .await;
    assert_eq!(rig.queue.job("b").await.unwrap().unwrap().processed_by.as_deref(), Some("other"));
    holder.stop(Duration::ZERO).await;
    other.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_slot_that_a_paused_worker_frees_wakes_another() {
    a_freed_slot_wakes_the_other(false).await;
}

#[tokio::test]
async fn a_slot_that_a_moved_job_frees_wakes_another() {
    a_freed_slot_wakes_the_other(true).await;
}

#[tokio::test]
async fn a_slot_whose_holder_died_is_free_again() {
    let rig = Rig::start().await;
    rig.queue.set_global_concurrency(1).await.unwrap();
    let brief = WorkerOptions { lock_duration: Duration::from_millis(50), ..options(&rig.queue, 1) };
    rig.queue.add_bulk(vec![job("echo", "a"), job("echo", "b")]).await.unwrap();
    let dead = Consumer::new(rig.queue.clone(), &brief);
    assert!(dead.claim().await.unwrap().job.is_some());
    assert!(dead.claim().await.unwrap().job.is_none());
    let worker = rig.worker(2).await;
    rig.until(JobState::Completed, 2).await;
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().stalled, 1);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn limits_of_nothing_are_refused_before_anything_is_written() {
    let rig = Rig::start().await;
    for limit in [limiter(0, 1000), limiter(1, 0)] {
        let options = WorkerOptions { limiter: limit, ..options(&rig.queue, 1) };
        let started = operator_queue::worker::Worker::start(&rig.config, options.clone(), std::sync::Arc::new(Script));
        let problem = started.await.err().unwrap().to_string();
        assert!(problem.starts_with("limiter.") && problem.contains("1 or more"), "{problem}");
        assert!(Consumer::new(rig.queue.clone(), &options).claim().await.is_err());
        assert!(rig.queue.set_global_rate_limit(limit.unwrap()).await.is_err());
    }
    assert!(rig.queue.set_global_concurrency(0).await.is_err());
    assert!(rig.queue.rate_limit(Duration::ZERO).await.is_err());
    assert!(rig.raw.keys("*").await.is_empty());
}
