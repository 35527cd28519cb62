//! Cancelling what many workers run while one of them dies, jobs that their workers die of, and limits set from outside.

use std::collections::HashSet;

use operator_core::{JobId, JobOptions, JobState, JobStatus, NewJob, QueueName};
use operator_queue::{CancelOptions, Queue, Redis, RedisConfig};
use operator_testkit::{RedisServer, eventually};
use serde_json::json;

use crate::running::{IMPATIENT, QUEUE, Running, Watched};

async fn queue(redis: &RedisServer) -> Queue {
    let redis = Redis::connect(&RedisConfig::new(redis.url())).await.unwrap();
    Queue::new(&redis, QueueName::new(QUEUE).unwrap())
}

fn sleeper(id: &str, ms: u64, attempts: u32) -> NewJob {
    let opts = JobOptions { job_id: Some(JobId::from_wire(id)), attempts, ..JobOptions::default() };
    NewJob::new("system.sleep", json!({ "ms": ms })).with(opts)
}

async fn starts(watched: &Watched) -> Vec<String> {
    let entries = watched.client().call(&["XRANGE", &format!("bull:{QUEUE}:events"), "-", "+"]).await;
    let job = |entry: &operator_testkit::redis::Reply| {
        let fields = entry.list()[1].map();
        (fields["event"] == "active").then(|| fields["jobId"].clone())
    };
    entries.list().iter().filter_map(job).collect()
}

#[tokio::test]
async fn a_thousand_running_jobs_are_cancelled_although_a_worker_is_killed() {
    const JOBS: usize = 1000;
    let redis = RedisServer::start().await;
    let (queue, watched) = (queue(&redis).await, Watched::of(&redis).await);
    let mut variables = IMPATIENT.to_vec();
    variables.push(("WORKER_CONCURRENCY", "334"));
    let mut killed = Running::start(&redis.url(), &variables).await;
    let _second = Running::start(&redis.url(), &variables).await;
    let _third = Running::start(&redis.url(), &variables).await;
    let ids: Vec<String> = (0..JOBS).map(|number| format!("j{number}")).collect();
    queue.add_bulk(ids.iter().map(|id| sleeper(id, 3_600_000, 5)).collect()).await.unwrap();
    watched.wait_for("active", i64::try_from(JOBS).unwrap()).await;

    let (first, rest) = ids.split_at(200);
    let cancel = async |ids: &[String]| {
        let cancels = ids.iter().map(|id| queue.cancel(id, "all of them", CancelOptions::default()));
        futures::future::try_join_all(cancels).await.unwrap();
    };
    cancel(first).await;
    killed.process.kill9().await;
    cancel(rest).await;

    watched.wait_for("failed", i64::try_from(JOBS).unwrap()).await;
    for id in &ids {
        let job = queue.job(id).await.unwrap().unwrap();
        assert_eq!(job.status(JobState::Failed), JobStatus::Cancelled, "{id}: {:?}", job.failed_reason);
        assert!(job.attempts_made == 1, "{id} ended once");
    }
    // A job of the killed worker is claimed once more, only to be failed: nothing ran twice.
    let starts = starts(&watched).await;
    let again = starts.len() - starts.iter().collect::<HashSet<_>>().len();
    assert!(again <= 334, "{again} were claimed again, and the killed worker held 334 at most");
    let stalled =
        eventually("what was left to be over", async || (watched.count("active").await == 0).then_some(starts.len()));
    assert!(stalled.await >= JOBS);
}

#[tokio::test]
async fn a_job_that_kills_its_worker_each_time_is_quarantined_while_the_others_finish() {
    let redis = RedisServer::start().await;
    let (queue, watched) = (queue(&redis).await, Watched::of(&redis).await);
    let variables = |name| {
        [
            ("OPERATOR_LOCK_DURATION_MS", "1000"),
            ("OPERATOR_STALLED_INTERVAL_MS", "1000"),
            ("WORKER_CONCURRENCY", "1"),
            ("OPERATOR_WORKER_NAME", name),
        ]
    };
    queue.add(sleeper("poison", 3_600_000, 100)).await.unwrap();
    // Each worker that takes it dies of it.
    for name in ["first", "second"] {
        let mut victim = Running::start(&redis.url(), &variables(name)).await;
        eventually("it to be taken", async || {
            (watched.field("poison", "pb").await.as_deref() == Some(name)).then_some(())
        })
        .await;
        victim.process.kill9().await;
    }
    queue.add_bulk((0..100).map(|number| sleeper(&format!("j{number}"), 0, 1)).collect()).await.unwrap();
    let _others = Running::start(&redis.url(), &variables("third")).await;
    watched.wait_for("completed", 100).await;
    watched.wait_for("failed", 1).await;
    let poison = queue.job("poison").await.unwrap().unwrap();
    assert!(poison.is_quarantined(), "{:?}", poison.failed_reason);
    assert_eq!((poison.stalled, poison.attempts_made), (2, 1));
    assert!(poison.stacktrace[0].contains("last worker: second"), "{:?}", poison.stacktrace);
}

#[tokio::test]
async fn a_time_limit_for_all_jobs_is_set_from_outside_and_counted() {
    let redis = RedisServer::start().await;
    let (queue, watched) = (queue(&redis).await, Watched::of(&redis).await);
    let worker = Running::start(&redis.url(), &[("JOB_TIMEOUT_MS", "100"), ("OPERATOR_CANCEL_GRACE_MS", "50")]).await;
    queue.add(sleeper("a", 3_600_000, 1)).await.unwrap();
    watched.wait_for("failed", 1).await;
    assert_eq!(watched.field("a", "failedReason").await.as_deref(), Some("timed out after 100 ms"));
    let count =
        format!("operator_job_run_seconds_count{{queue=\"{QUEUE}\",name=\"system.sleep\",outcome=\"timed_out\"}} 1");
    worker.wait_for_metric(&count).await;
    queue
        .add(NewJob {
            opts: JobOptions { timeout_ms: Some(3_600_000), ..JobOptions::default() },
            ..sleeper("b", 3_600_000, 1)
        })
        .await
        .unwrap();
    watched.wait_for("active", 1).await;
    let id = watched.client().call(&["LINDEX", &format!("bull:{QUEUE}:active"), "0"]).await.text().to_owned();
    queue.cancel(&id, "", CancelOptions::default()).await.unwrap();
    worker.wait_for_metric(&format!("operator_jobs_cancelled_total{{queue=\"{QUEUE}\"}} 1")).await;
}
