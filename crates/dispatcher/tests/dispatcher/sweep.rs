//! Finished jobs that no stream told of: other programs' workers leave no record.

use std::collections::BTreeSet;

use operator_core::Outcome;
use operator_testkit::{BullMq, NodePeer};
use serde_json::{Value, json};

use crate::harness::World;
use crate::worker;

/// Adds `count` jobs and lets a BullMQ worker run them all.
async fn run_in_node(node: &NodePeer, queue: &str, jobs: Value) {
    let count = jobs.as_array().unwrap().len();
    node.call("addBulk", json!({"queue": queue, "jobs": jobs})).await;
    for _ in 0..count {
        node.event("a finished job", |event| {
            event["event"] == "worker" && (event["type"] == "completed" || event["type"] == "failed")
        })
        .await;
    }
}

#[tokio::test]
async fn jobs_that_bullmqs_workers_finished_are_recorded_with_all_there_is_to_know() {
    let world = World::new().await;
    let node = NodePeer::bullmq(BullMq::V6, &world.redis.url(), "bull").await;
    node.call("startWorker", json!({"queue": "theirs", "processor": "echo", "name": "node-1", "concurrency": 5})).await;
    let mut jobs: Vec<Value> =
        (0..30).map(|n| json!({"name": "send", "data": {"n": n}, "opts": {"keepLogs": 3}})).collect();
    jobs.push(json!({"name": "break", "data": {"do": "unrecoverable"}, "opts": {"attempts": 2}}));
    run_in_node(&node, "theirs", json!(jobs)).await;
    let records = world.until_recorded(31).await;
    assert_eq!(records.iter().map(|record| &record.id).collect::<BTreeSet<_>>().len(), 31);
    let sent = records.iter().find(|record| record.data.as_str() == r#"{"n":7}"#).unwrap();
    assert_eq!((sent.queue.as_str(), sent.name.as_str(), sent.worker.as_deref()), ("theirs", "send", Some("node-1")));
    assert!(matches!(&sent.outcome, Outcome::Completed { result } if result.as_str() == r#"{"n":7}"#), "{sent:?}");
    assert!(sent.processed_ms.is_some() && sent.attempts_made == 1, "{sent:?}");
    let broken = records.iter().find(|record| record.name == "break").unwrap();
    assert!(matches!(&broken.outcome, Outcome::Failed { error, .. } if !error.is_empty()), "{broken:?}");
    assert_eq!(world.dispatcher.read("/jobs?queue=theirs&status=failed").await["jobs"][0]["name"], "break");
}

#[tokio::test]
async fn a_recorded_backlog_is_not_looked_at_again() {
    let world = World::new().await;
    let ours = worker::start(&world.redis.url(), &["q"]).await;
    for _ in 0..5 {
        world.dispatcher.add("q", (0..1000).map(|n| json!({"name": "echo", "data": n})).collect()).await;
    }
    world.until_recorded(5000).await;
    worker::stop(ours).await;
    let store = world.store().await;
    let newest = world.until_recorded(5000).await.iter().map(|record| record.finished_ms).max().unwrap();
    operator_testkit::eventually("the mark to reach the newest job", async || {
        (store.sweep_mark("q", "completed").await.unwrap() == newest).then_some(())
    })
    .await;

    let client = world.redis.client().await;
    client.reset_stats().await;
    let node = NodePeer::bullmq(BullMq::V6, &world.redis.url(), "bull").await;
    node.call("startWorker", json!({"queue": "q", "processor": "echo"})).await;
    run_in_node(&node, "q", json!([{"name": "late", "data": {}}])).await;
    let records = world.until_recorded(5001).await;
    assert!(records.iter().any(|record| record.name == "late"));
    let stats = client.command_stats().await;
    // Hashes of jobs are read for what is missing only: the one that ran now, beside what BullMQ itself reads.
    let hashes = stats.get("hgetall").copied().unwrap_or(0);
    assert!(hashes < 20, "{hashes} hashes were read for one missing record: {stats:?}");
}

#[tokio::test]
async fn our_jobs_and_theirs_on_one_queue_are_recorded_once_each() {
    let world = World::new().await;
    let node = NodePeer::bullmq(BullMq::V6, &world.redis.url(), "bull").await;
    node.call("startWorker", json!({"queue": "mixed", "processor": "echo", "concurrency": 10})).await;
    let ours = worker::start(&world.redis.url(), &["mixed"]).await;
    for _ in 0..4 {
        world.dispatcher.add("mixed", (0..250).map(|n| json!({"name": "echo", "data": n})).collect()).await;
    }
    let records = world.until_recorded(1000).await;
    let ids: BTreeSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!((records.len(), ids.len()), (1000, 1000));
    worker::stop(ours).await;
}
