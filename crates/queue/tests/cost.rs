//! What a job costs Redis, in commands, the scripts' inner calls included. The numbers do not depend on the machine,
//! so a change that adds a command to every job's path fails here.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;

use operator_core::JobState;
use operator_queue::worker::WorkerOptions;
use rig::{Rig, job, options};
use std::time::Duration;

/// Commands per job since the statistics were reset, without those of the test itself.
async fn commands_per_job(rig: &Rig, jobs: u32) -> (f64, String) {
    let stats = rig.raw.command_stats().await;
    let own = ["info", "config|resetstat", "client|setname", "llen", "zcard", "hexists", "ping"];
    let counted: Vec<_> = stats.iter().filter(|(name, _)| !own.contains(&name.as_str())).collect();
    let total: u64 = counted.iter().map(|(_, calls)| **calls).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand commands")]
    let per_job = total as f64 / f64::from(jobs);
    (per_job, format!("{per_job:.3} commands per job: {counted:?}"))
}

#[tokio::test]
async fn a_bulk_added_job_costs_three_commands() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "")).await.unwrap();
    rig.raw.reset_stats().await;
    rig.queue.add_bulk(vec![job("echo", ""); 1000]).await.unwrap();
    let (per_job, detail) = commands_per_job(&rig, 1000).await;
    assert!(per_job <= 3.02, "{detail}");
}

#[tokio::test]
async fn jobs_added_at_the_same_time_share_their_calls() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "")).await.unwrap();
    rig.raw.reset_stats().await;
    let adds = (0..100).map(|_| rig.queue.add(job("echo", "")));
    futures::future::try_join_all(adds).await.unwrap();
    let (per_job, detail) = commands_per_job(&rig, 100).await;
    assert!(per_job <= 3.2, "{detail}");
}

/// Has a worker of so many slots run 2000 jobs: the commands for each, and the calls of scripts for all of them.
async fn processing(concurrency: usize) -> (f64, u64, String) {
    const JOBS: u32 = 2000;
    let rig = Rig::start().await;
    rig.queue.pause().await.unwrap();
    rig.queue.add_bulk(vec![job("echo", ""); JOBS as usize]).await.unwrap();
    let options = WorkerOptions {
        lock_duration: Duration::from_secs(30),
        stalled_interval: Duration::from_secs(30),
        history_max_entries: Some(100_000),
        ..options(&rig.queue, concurrency)
    };
    let worker = rig.worker_with(options).await;
    // Without what a worker does once when it starts.
    rig.raw.reset_stats().await;
    rig.queue.resume().await.unwrap();
    rig.until(JobState::Completed, u64::from(JOBS)).await;
    let (per_job, detail) = commands_per_job(&rig, JOBS).await;
    let calls = rig.raw.command_stats().await["evalsha"];
    worker.stop(Duration::ZERO).await;
    (per_job, calls, detail)
}

#[tokio::test]
async fn a_job_among_a_hundred_costs_eight_commands() {
    let (per_job, calls, detail) = processing(100).await;
    assert!(per_job <= 8.5, "{detail}");
    // Far fewer than one per job: what has finished is settled, and the next are claimed, in one call.
    assert!(calls <= 1000, "{calls} calls, {detail}");
}

#[tokio::test]
async fn a_job_alone_costs_seventeen_commands() {
    let (per_job, calls, detail) = processing(1).await;
    assert!(per_job <= 17.05, "{detail}");
    // One call for each job settles it and claims the next; a few more begin and end the work.
    assert!((2000..2020).contains(&calls), "{calls} calls, {detail}");
}
