//! A job's whole life, from its adding to its record in history, as every form of Redis must let it live.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use operator_core::{JobState, QueueName};
use operator_queue::history::HistoryReader;
use operator_queue::worker::{Worker, WorkerOptions};
use operator_queue::{Queue, Redis, RedisConfig, RemoveOptions, registry};
use operator_testkit::wait::eventually;

use crate::rig::{Script, job};

/// Adds jobs to the queues, runs them with one worker, and looks at everything that becomes of them.
pub(super) async fn live(config: &RedisConfig, names: &[&str]) {
    live_as(config, config, names).await;
}

/// The same, with a worker that connects otherwise than whoever does all else.
pub(super) async fn live_as(config: &RedisConfig, worker: &RedisConfig, names: &[&str]) {
    let redis = Redis::connect(config).await.unwrap();
    let queues: Vec<Queue> = names.iter().map(|name| Queue::new(&redis, QueueName::new(*name).unwrap())).collect();
    let worker = Worker::start(worker, options(&queues), Arc::new(Script)).await.unwrap();
    for queue in &queues {
        queue.add_bulk((0..20).map(|number| job("echo", &format!("n{number}"))).collect()).await.unwrap();
        queue.add(job("flaky", "flaky")).await.unwrap();
        queue.add(job("fatal", "fatal")).await.unwrap();
    }
    for queue in &queues {
        finished(queue, 20, 2).await;
        assert_eq!(queue.state("n7").await.unwrap(), JobState::Completed);
        assert_eq!(queue.job("fatal").await.unwrap().unwrap().failed_reason.as_deref(), Some("no use"));
        let name = queue.name().to_string();
        eventually("the worker to be listed on every queue", async || {
            let workers = queue.workers().await.unwrap();
            (workers.iter().filter(|worker| worker.name.as_deref() == Some("w")).count() == 1).then_some(())
        })
        .await;
        queue.add_logs("n7", &["a line".to_owned()], None).await.unwrap();
        assert_eq!(queue.logs("n7", 0, 9).await.unwrap().1, 1, "{name}");
        queue.remove("n7", RemoveOptions::default()).await.unwrap();
    }
    let known: BTreeSet<QueueName> = queues.iter().map(|queue| queue.name().clone()).collect();
    assert_eq!(registry::known_queues(&redis).await.unwrap(), known);
    assert_eq!(registry::discover_queues(&redis, || true).await.unwrap(), known);
    archive(&redis, known).await;
    worker.stop(Duration::from_secs(5)).await;
}

/// A worker's options with history and a name, and locks that a test can outwait.
pub(super) fn options(queues: &[Queue]) -> WorkerOptions {
    WorkerOptions {
        name: Some("w".to_owned()),
        lock_duration: Duration::from_secs(2),
        stalled_interval: Duration::from_secs(2),
        history_max_entries: Some(1000),
        ..WorkerOptions::new(queues.iter().map(|queue| queue.name().clone())).with_concurrency(4)
    }
}

/// Waits until this many jobs of `queue` have completed and failed.
pub(super) async fn finished(queue: &Queue, completed: u64, failed: u64) {
    eventually("all jobs to finish", async || {
        let counts = queue.counts().await.ok()?;
        let are = |state, count| counts.of(state) == count;
        (are(JobState::Completed, completed) && are(JobState::Failed, failed)).then_some(())
    })
    .await;
}

/// Reads the history until every queue's 22 records are there, and confirms them.
async fn archive(redis: &Redis, queues: BTreeSet<QueueName>) {
    let mut reader = HistoryReader::new(redis, "reader");
    let mut missing: BTreeSet<(QueueName, usize)> =
        queues.iter().flat_map(|queue| (0..22).map(move |number| (queue.clone(), number))).collect();
    reader.follow(queues).await.unwrap();
    eventually("all records to be read", async || {
        let entries = reader.read(100, Duration::from_millis(100)).await.unwrap();
        for entry in &entries {
            for _ in &entry.records {
                let next = missing.iter().find(|(queue, _)| *queue == entry.queue).cloned();
                assert!(missing.remove(&next.expect("no record comes twice")));
            }
        }
        reader.confirm(&entries).await.unwrap();
        missing.is_empty().then_some(())
    })
    .await;
    reader.leave().await.unwrap();
}
