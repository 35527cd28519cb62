//! A worker dies in the middle of its work, and nobody notices but the other workers.

use std::collections::BTreeMap;

use operator_testkit::{BullMq, NodePeer, RedisServer};
use serde_json::{Value, json};

use crate::running::{IMPATIENT, QUEUE, Running, Watched, id_of};

const JOBS: usize = 1000;

#[tokio::test]
async fn every_job_completes_once_although_a_worker_is_killed() {
    let redis = RedisServer::start().await;
    let (node, watched) = (NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await, Watched::of(&redis).await);
    node.call("startQueueEvents", json!({ "queue": QUEUE })).await;
    let jobs: Vec<_> = (0..JOBS).map(|_| json!({ "name": "system.sleep", "data": { "ms": 20 } })).collect();
    let added = node.call("addBulk", json!({ "queue": QUEUE, "jobs": jobs })).await;
    let ids: Vec<String> = added.as_array().unwrap().iter().map(id_of).collect();

    let mut killed = Running::start(&redis.url(), &IMPATIENT).await;
    let _other = Running::start(&redis.url(), &IMPATIENT).await;
    watched.wait_for("completed", 200).await;
    killed.process.kill9().await;
    let _replacement = Running::start(&redis.url(), &IMPATIENT).await;
    watched.wait_for("completed", i64::try_from(JOBS).unwrap()).await;

    // Events come in order, so those of a job added last are behind all others.
    let last = node.call("add", json!({ "queue": QUEUE, "name": "system.echo" })).await;
    let completions = completions_until(&node, &id_of(&last)).await;
    let once: Vec<_> = ids.iter().filter(|id| completions.get(*id) == Some(&1)).collect();
    assert_eq!(once.len(), JOBS, "{completions:?}");
    assert_eq!((watched.count("failed").await, watched.count("active").await), (0, 0));
}

/// How often each job completed, as QueueEvents tells it, until the job `last` does.
async fn completions_until(node: &NodePeer, last: &str) -> BTreeMap<String, usize> {
    let mut completions = BTreeMap::new();
    loop {
        let event = node.event_of("queueEvents", "completed").await;
        let id = event[0]["jobId"].as_str().unwrap().to_owned();
        if id == last {
            return completions;
        }
        *completions.entry(id).or_default() += 1;
    }
}

#[tokio::test]
async fn a_worker_that_was_frozen_past_its_lock_loses_the_job_and_lives_on() {
    let redis = RedisServer::start().await;
    let (node, watched) = (NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await, Watched::of(&redis).await);
    let mut variables = IMPATIENT.to_vec();
    variables.push(("OPERATOR_WORKER_NAME", "frozen"));
    let frozen = Running::start(&redis.url(), &variables).await;
    let job = json!({ "queue": QUEUE, "name": "system.sleep", "data": { "ms": 3_600_000 } });
    let id = id_of(&node.call("add", job).await);
    watched.wait_for("active", 1).await;

    frozen.process.pause();
    variables.push(("OPERATOR_WORKER_NAME", "other"));
    let other = Running::start(&redis.url(), &variables).await;
    let holder = async |name: &'static str| {
        operator_testkit::eventually("another worker to take the job", async || {
            (watched.field(&id, "pb").await.as_deref() == Some(name)).then_some(())
        })
        .await;
    };
    holder("other").await;
    frozen.process.resume();
    frozen.process.wait_for_line("that it lost the job", |line| line.contains("lost a job")).await;
    frozen.wait_for_metric(&format!("operator_lease_lost_total{{queue=\"{QUEUE}\"}} 1")).await;
    frozen.wait_for_metric("operator_worker_slots{state=\"used\"} 0").await;
    other.wait_for_metric(&format!("operator_jobs_stalled_total{{queue=\"{QUEUE}\"}} 1")).await;
    assert_eq!(node.call("getJobState", json!({ "queue": QUEUE, "jobId": id })).await, Value::from("active"));
}
