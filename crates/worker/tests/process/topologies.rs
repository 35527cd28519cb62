//! The worker process where Redis is more than one plain server: what the queue crate can do, the settings reach.

use operator_testkit::redis::{RedisCluster, TlsRedis};
use operator_testkit::wait::eventually;
use serde_json::json;

use crate::running::{QUEUE, Running, Watched};

#[tokio::test]
async fn a_certificate_in_a_file_lets_a_worker_speak_tls() {
    let redis = TlsRedis::start().await;
    let file = redis.authority_file();
    let worker = Running::start(&redis.url(), &[("REDIS_CA_FILE", file.to_str().unwrap())]).await;
    let client = redis.client().await;
    let peer = operator_testkit::NodePeer::bullmq(operator_testkit::BullMq::V6, &redis.plain().url(), "bull").await;
    peer.call("add", json!({ "queue": QUEUE, "name": "system.echo", "data": { "a": 1 } })).await;
    eventually("the job to complete", async || {
        (client.call(&["ZCARD", &format!("bull:{QUEUE}:completed")]).await.int() == 1).then_some(())
    })
    .await;
    drop(worker);
    Watched::of(redis.plain()).await.wait_for("completed", 1).await;
}

#[tokio::test]
async fn a_prefix_with_a_hash_tag_lets_a_worker_serve_a_cluster() {
    let cluster = RedisCluster::start().await;
    let worker = Running::start(&cluster.url(), &[("OPERATOR_PREFIX", "{bull}")]).await;
    let peer = operator_testkit::NodePeer::bullmq(operator_testkit::BullMq::V6, &cluster.url(), "{bull}").await;
    peer.call("add", json!({ "queue": QUEUE, "name": "system.echo", "data": { "a": 1 } })).await;
    eventually("the job to complete", async || {
        (peer.call("getJobCounts", json!({ "queue": QUEUE })).await["completed"] == 1).then_some(())
    })
    .await;
    drop(worker);
}
