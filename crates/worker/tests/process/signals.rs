//! What SIGTERM does, once and twice.

use operator_testkit::{BullMq, NodePeer, RedisServer, eventually};
use serde_json::{Value, json};

use crate::running::{IMPATIENT, QUEUE, Running, Watched, id_of};

const HOUR_MS: u64 = 3_600_000;

async fn add_sleep(node: &NodePeer, ms: u64) -> String {
    let job = json!({ "queue": QUEUE, "name": "system.sleep", "data": { "ms": ms } });
    id_of(&node.call("add", job).await)
}

fn has(line: &str, field: &str, value: u64) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line[field] == value)
}

#[tokio::test]
async fn sigterm_finishes_what_is_short_and_hands_back_the_rest_without_an_attempt() {
    let redis = RedisServer::start().await;
    let (node, watched) = (NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await, Watched::of(&redis).await);
    let mut worker = Running::start(&redis.url(), &[("OPERATOR_DRAIN_TIMEOUT_MS", "6000")]).await;
    let (short, long) = (add_sleep(&node, 500).await, add_sleep(&node, HOUR_MS).await);
    watched.wait_for("active", 2).await;

    worker.process.terminate();
    let refusal = worker.wait_for_status("/ready", 503).await;
    assert!(refusal.contains("stopping"), "{refusal}");
    assert_eq!(worker.get("/health").await.0, 200, "a worker that drains is alive");
    assert_eq!(worker.process.wait_exit().await, Some(0));

    let state = async |id| node.call("getJobState", json!({ "queue": QUEUE, "jobId": id })).await;
    assert_eq!((state(&short).await, state(&long).await), ("completed".into(), "waiting".into()));
    let made = watched.field(&long, "atm").await.unwrap_or_else(|| "0".to_owned());
    assert_eq!((made.as_str(), watched.field(&long, "failedReason").await), ("0", None));
    let report = worker.process.output().await.pop().unwrap();
    assert!(has(&report, "settled", 1) && has(&report, "handed_back", 1), "{report}");

    let next = Running::start(&redis.url(), &[]).await;
    watched.wait_for("active", 1).await;
    assert!(next.get("/ready").await.0 == 200);
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_another_worker_recovers_the_job() {
    let redis = RedisServer::start().await;
    let (node, watched) = (NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await, Watched::of(&redis).await);
    let mut worker = Running::start(&redis.url(), &IMPATIENT).await;
    let id = add_sleep(&node, HOUR_MS).await;
    watched.wait_for("active", 1).await;

    worker.process.terminate();
    worker.process.wait_for_line("that it stops", |line| line.contains("letting running jobs finish")).await;
    worker.process.terminate();
    assert_eq!(worker.process.wait_exit().await, Some(75));
    assert_eq!(watched.count("active").await, 1, "nobody had time to give the job back");

    let mut variables = IMPATIENT.to_vec();
    variables.push(("OPERATOR_WORKER_NAME", "successor"));
    let _successor = Running::start(&redis.url(), &variables).await;
    eventually("the successor to have the job", async || {
        (watched.field(&id, "pb").await.as_deref() == Some("successor")).then_some(())
    })
    .await;
    assert_eq!(watched.field(&id, "stc").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_worker_that_still_looks_for_redis_ends_with_the_first_signal() {
    let port = operator_testkit::process::free_port();
    let mut process =
        crate::running::program().env("REDIS_URL", format!("redis://127.0.0.1:{port}")).env("HEALTH_PORT", "0").start();
    process.wait_for_line("that Redis does not answer", |line| line.contains("does not answer")).await;
    process.terminate();
    assert_eq!(process.wait_exit().await, Some(0));
}
