//! BullMQ as a peer: producer, worker and listener in Node, of both releases, and bull-board.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in functions beside it")]

use operator_testkit::{BullMq, NodePeer, RedisServer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn round_trip(release: BullMq, version: &str) {
    let redis = RedisServer::start().await;
    let producer = NodePeer::bullmq(release, &redis.url(), "trip").await;
    let consumer = NodePeer::bullmq(release, &redis.url(), "trip").await;
    assert!(producer.hello()["version"].as_str().unwrap().starts_with(version), "{}", producer.hello());
    producer.call("startQueueEvents", json!({ "queue": "mail" })).await;
    let job = producer.call("add", json!({ "queue": "mail", "name": "send", "data": { "to": "me" } })).await;
    assert_eq!(job["id"], "1");
    let worker = json!({ "queue": "mail", "processor": "echo", "name": "w", "concurrency": 2 });
    consumer.call("startWorker", worker).await;
    let wait = json!({ "queue": "mail", "jobId": "1", "ttl": 30_000 });
    assert_eq!(producer.call("waitUntilFinished", wait).await, json!({ "to": "me" }));
    let completed = producer.event_of("queueEvents", "completed").await;
    assert_eq!(completed[0], json!({ "jobId": "1", "returnvalue": { "to": "me" }, "prev": "active" }));
    assert_eq!(consumer.event_of("worker", "completed").await[0]["processedBy"], "w");
    assert_eq!(producer.job("mail", "1", "getState", json!([])).await, "completed");
    assert_eq!(producer.queue("mail", "getCompletedCount", json!([])).await, 1);
    assert_eq!(producer.call("getWorkers", json!({ "queue": "mail" })).await.as_array().unwrap().len(), 1);
    let keys = redis.client().await.call(&["HMGET", "trip:mail:1", "name", "returnvalue", "pb"]).await.texts();
    assert_eq!(keys, ["send", r#"{"to":"me"}"#, "w"]);
    assert_eq!((producer.close().await, consumer.close().await), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_job_goes_from_bullmq_6_to_bullmq_6() {
    round_trip(BullMq::V6, "6.").await;
}

#[tokio::test]
async fn a_job_goes_from_bullmq_5_to_bullmq_5() {
    round_trip(BullMq::V5, "5.").await;
}

#[tokio::test]
async fn a_held_job_stays_active_until_it_is_released_and_then_retries() {
    let redis = RedisServer::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let jobs = json!([{ "name": "a", "data": {}, "opts": { "attempts": 2, "jobId": "held" } }]);
    peer.call("addBulk", json!({ "queue": "q", "jobs": jobs })).await;
    peer.call("startWorker", json!({ "queue": "q", "processor": "hold" })).await;
    peer.event_of("worker", "active").await;
    assert_eq!(peer.call("getJobState", json!({ "queue": "q", "jobId": "held" })).await, "active");
    peer.call("release", json!({ "jobId": "held", "error": "not yet" })).await;
    assert_eq!(peer.event_of("worker", "failed").await[1]["message"], "not yet");
    peer.event_of("worker", "active").await;
    peer.call("release", json!({ "jobId": "held", "result": 42 })).await;
    assert_eq!(peer.event_of("worker", "completed").await[1], 42);
}

#[tokio::test]
async fn an_error_of_the_peer_arrives_with_its_name_and_message() {
    let redis = RedisServer::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let bad = json!({ "queue": "q", "name": "a", "opts": { "jobId": "1" } });
    let error = peer.try_call("add", bad).await.unwrap_err();
    assert_eq!(error.name, "Error");
    assert!(!error.message.is_empty());
    let error = peer.try_call("retryJob", json!({ "queue": "q", "jobId": "none" })).await.unwrap_err();
    assert_eq!(error.message, "no job none in q");
}

#[tokio::test]
async fn a_killed_peer_leaves_its_job_active_and_locked() {
    let redis = RedisServer::start().await;
    let mut peer = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    peer.call("add", json!({ "queue": "q", "name": "a" })).await;
    peer.call("startWorker", json!({ "queue": "q", "processor": "hold" })).await;
    peer.event_of("worker", "active").await;
    peer.kill().await;
    let client = redis.client().await;
    assert_eq!(client.call(&["LRANGE", "bull:q:active", "0", "-1"]).await.texts(), ["1"]);
    assert_eq!(client.call(&["EXISTS", "bull:q:1:lock"]).await.int(), 1);
}

#[tokio::test]
async fn the_board_shows_the_queues_and_their_jobs() {
    let redis = RedisServer::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    peer.call("add", json!({ "queue": "mail", "name": "send" })).await;
    let (_board, port) = NodePeer::board(&redis.url(), "bull", &["mail", "empty"]).await;
    let answer = get(port, "/api/queues?activeQueue=mail&status=waiting").await;
    let body: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(body["queues"][0]["name"], "mail");
    assert_eq!(body["queues"][0]["counts"]["waiting"], 1);
    assert_eq!(body["queues"][0]["jobs"][0]["name"], "send");
    assert!(get(port, "/").await.contains("<title>Bull Dashboard</title>"));
}

#[tokio::test]
async fn the_producer_adds_what_it_reads_in_chunks() {
    let redis = RedisServer::start().await;
    let env = [("REDIS_URL", redis.url()), ("PREFIX", "bull".to_owned())];
    let lines: String = (0..1200).map(|n| format!("{{\"queue\":\"q\",\"name\":\"n\",\"data\":{n}}}\n")).collect();
    let printed = NodePeer::run("producer.mjs", &env.each_ref().map(|(k, v)| (*k, v.as_str())), &lines).await;
    let added: Vec<_> = printed.iter().map(|line| line["added"].as_u64().unwrap()).collect();
    assert_eq!(added, [500, 500, 200]);
    assert_eq!(redis.client().await.call(&["LLEN", "bull:q:wait"]).await.int(), 1200);
}

/// The body of an HTTP answer.
async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{head}");
    body.to_owned()
}
