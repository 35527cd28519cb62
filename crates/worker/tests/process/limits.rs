//! Limits that an operator sets without code.

use operator_testkit::{BullMq, NodePeer, RedisServer};
use serde_json::json;

use crate::running::{IMPATIENT, QUEUE, Running, Watched};

const MAX: usize = 5;
const WINDOW_MS: u64 = 300;
const JOBS: usize = 30;

/// When jobs started, by the server's clock.
async fn starts(watched: &Watched) -> Vec<u64> {
    let entries = watched.client().call(&["XRANGE", &format!("bull:{QUEUE}:events"), "-", "+"]).await;
    let active = entries.list().iter().filter(|entry| entry.list()[1].map()["event"] == "active");
    active.map(|entry| entry.list()[0].text().split('-').next().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn a_rate_set_without_code_holds_and_does_not_leak_when_a_worker_is_killed() {
    let redis = RedisServer::start().await;
    let (node, watched) = (NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await, Watched::of(&redis).await);
    let (max, window) = (MAX.to_string(), WINDOW_MS.to_string());
    let mut variables = IMPATIENT.to_vec();
    variables.push(("OPERATOR_RATE_LIMIT_MAX", &max));
    variables.push(("OPERATOR_RATE_LIMIT_DURATION_MS", &window));
    variables.push(("OPERATOR_METRICS_DATA_POINTS", "60"));
    variables.push(("OPERATOR_MAX_STARTED_ATTEMPTS", "100"));
    let mut killed = Running::start(&redis.url(), &variables).await;
    let jobs: Vec<_> = (0..JOBS).map(|_| json!({ "name": "system.sleep", "data": { "ms": 50 } })).collect();
    node.call("addBulk", json!({ "queue": QUEUE, "jobs": jobs })).await;
    watched.wait_for("active", 1).await;
    killed.process.kill9().await;
    let _other = Running::start(&redis.url(), &variables).await;
    watched.wait_for("completed", i64::try_from(JOBS).unwrap()).await;

    let starts = starts(&watched).await;
    assert!(starts.len() > JOBS, "what the killed worker held was started again");
    for (window, first) in starts.iter().step_by(MAX).enumerate() {
        // Half a window is granted for a server that is put to sleep between the two clocks it reads.
        assert!(first - starts[0] + WINDOW_MS / 2 >= window as u64 * WINDOW_MS, "window {window}: {starts:?}");
    }
    let metrics = node.queue(QUEUE, "getMetrics", json!(["completed"])).await;
    assert_eq!(metrics["meta"]["count"], JOBS, "{metrics}");
}
