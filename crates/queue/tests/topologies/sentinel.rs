//! A master under Sentinels: whoever takes over is found, by commands and by those who wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use operator_core::{JobState, QueueName};
use operator_queue::worker::Worker;
use operator_queue::{Queue, Redis, RedisConfig};
use operator_testkit::redis::RedisSentinel;
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use serde_json::json;

use super::life::{finished, live, options};
use crate::rig::{Script, job};

const JOBS: u64 = 500;

async fn queue(config: &RedisConfig) -> Queue {
    let redis = Redis::connect(config).await.unwrap();
    Queue::new(&redis, QueueName::new("q").unwrap())
}

/// Adds 500 jobs, waits until both replicas have them, lets a worker begin, lets the master go in the way of `leave`,
/// and waits until the new master has all jobs completed, each once.
async fn work_through(group: &mut RedisSentinel, leave: impl AsyncFnOnce(&mut RedisSentinel) -> usize) {
    let config = RedisConfig::new(group.url());
    let queue = queue(&config).await;
    queue.add_bulk((0..JOBS).map(|number| job("echo", &format!("n{number}"))).collect()).await.unwrap();
    group.replicated().await;
    let worker = Worker::start(&config, options(std::slice::from_ref(&queue)), Arc::new(Script)).await.unwrap();
    eventually("the work to begin", async || {
        let counts = queue.counts().await.ok()?;
        (counts.of(JobState::Completed) > 20).then_some(())
    })
    .await;
    let new = leave(group).await;
    // Not through the queue: its connection may still read the old master, which knew of more than it passed on.
    let client = group.server(new).client().await;
    eventually("every job to be completed on the new master", async || {
        let completed = client.call(&["ZCARD", "bull:q:completed"]).await.int();
        (u64::try_from(completed) == Ok(JOBS)).then_some(())
    })
    .await;
    finished(&queue, JOBS, 0).await;
    let entries = client.call(&["XRANGE", "bull:q:events", "-", "+"]).await;
    let mut completions: BTreeMap<String, u32> = BTreeMap::new();
    for entry in entries.list() {
        let fields = entry.list()[1].map();
        if fields["event"] == "completed" {
            *completions.entry(fields["jobId"].clone()).or_default() += 1;
        }
    }
    assert_eq!(completions.len() as u64, JOBS);
    assert!(completions.values().all(|count| *count == 1), "every job completes once on the server that lived on");
    // A job that is added now wakes the worker: its blocking connection has found the new master, too.
    queue.add(job("echo", "after")).await.unwrap();
    finished(&queue, JOBS + 1, 0).await;
    worker.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_job_lives_under_sentinels() {
    let group = RedisSentinel::start().await;
    live(&RedisConfig::new(group.url()), &["q", "r"]).await;
}

#[tokio::test]
async fn a_killed_master_is_replaced_in_the_middle_of_work() {
    let mut group = RedisSentinel::start().await;
    work_through(&mut group, async |group| group.kill_master().await).await;
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_is_left_in_the_middle_of_work() {
    let mut group = RedisSentinel::start().await;
    work_through(&mut group, async |group| group.failover().await).await;
}

#[tokio::test]
async fn a_master_without_its_replicas_is_waited_for() {
    let mut group = RedisSentinel::start().await;
    let config = RedisConfig::new(group.url());
    let queue = queue(&config).await;
    let worker = Worker::start(&config, options(std::slice::from_ref(&queue)), Arc::new(Script)).await.unwrap();
    let master = group.client().await;
    // What a master that must have two replicas answers as long as it has none.
    master.call(&["CONFIG", "SET", "min-replicas-to-write", "3"]).await.ok();
    let error = queue.add(job("echo", "a")).await.unwrap_err().to_string();
    assert!(error.contains("NOREPLICAS"), "{error}");
    master.call(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await.ok();
    queue.add(job("echo", "a")).await.unwrap();
    finished(&queue, 1, 0).await;
    group.restart(0).await;
    worker.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn bullmq_and_we_share_a_queue_under_sentinels() {
    let group = RedisSentinel::start().await;
    let queue = queue(&RedisConfig::new(group.url())).await;
    let node = NodePeer::bullmq(BullMq::V6, &group.url(), "bull").await;
    node.call("startWorker", json!({ "queue": "q", "processor": "echo" })).await;
    queue.add(job("echo", "a")).await.unwrap();
    finished(&queue, 1, 0).await;
    node.call("stopWorker", json!({ "worker": "q" })).await;
    let config = RedisConfig::new(group.url());
    let worker = Worker::start(&config, options(std::slice::from_ref(&queue)), Arc::new(Script)).await.unwrap();
    node.call("add", json!({ "queue": "q", "name": "echo", "opts": { "jobId": "b" } })).await;
    finished(&queue, 2, 0).await;
    worker.stop(Duration::from_secs(5)).await;
    assert_eq!(node.close().await, Some(0));
}
