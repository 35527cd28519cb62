//! Redis dies and comes back in the middle of the work.

use operator_testkit::{BullMq, NodePeer, RedisServer};
use serde_json::json;

use crate::running::{QUEUE, Running, Watched};

const JOBS: usize = 500;

#[tokio::test]
async fn a_redis_that_was_killed_and_restarted_loses_no_job() {
    let mut redis = RedisServer::builder().durable().start().await;
    let watched = Watched::of(&redis).await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let jobs: Vec<_> = (0..JOBS).map(|_| json!({ "name": "system.sleep", "data": { "ms": 50 } })).collect();
    node.call("addBulk", json!({ "queue": QUEUE, "jobs": jobs })).await;

    let mut worker = Running::start(&redis.url(), &[]).await;
    watched.wait_for("completed", 100).await;
    redis.restart().await;
    let done = watched.count("completed").await;
    assert!(done < i64::try_from(JOBS).unwrap(), "the restart must fall into the work");
    watched.wait_for("completed", i64::try_from(JOBS).unwrap()).await;
    for state in ["wait", "active", "delayed", "failed"] {
        assert_eq!(watched.count(state).await, 0, "{state}");
    }
    worker.process.terminate();
    assert_eq!(worker.process.wait_exit().await, Some(0));
}
