//! A worker inside a program: how much it takes on, what it is told about limits and waits, and what its gauges say.

use std::time::Duration;

use operator_telemetry::{Identity, Metrics};
use operator_testkit::{BullMq, NodePeer, RedisServer, eventually};
use operator_worker::{Context, Failure, Keep, Worker, WorkerError};
use serde_json::{Value, json};

async fn fail(_: Value, _: Context) -> Result<(), Failure> {
    Err(Failure::retryable("come again"))
}

async fn again(_: Value, context: Context) -> Result<(), Failure> {
    Err(context.move_to_wait().await)
}

#[tokio::test]
async fn the_gauges_follow_a_worker_that_is_paused_resumed_and_given_other_slots() {
    let identity = Identity { service: "test".into(), version: "1".into(), commit: "x".into(), env: "test".into() };
    let metrics = Metrics::install(&identity).unwrap();
    let says = async |line: &str| {
        eventually(line, async || metrics.render().lines().any(|reported| reported == line).then_some(())).await;
    };
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let worker = Worker::builder(redis.url()).queue("q").concurrency(2).job("again", again).start().await.unwrap();
    says("operator_worker_slots{state=\"total\"} 2").await;
    worker.set_concurrency(5);
    says("operator_worker_slots{state=\"total\"} 5").await;
    worker.set_concurrency(0);
    says("operator_worker_slots{state=\"total\"} 1").await;
    assert_eq!(worker.status().slots(), 1);

    worker.pause();
    assert!(worker.is_paused());
    worker.status().idle().await;
    worker.resume();
    assert!(!worker.is_paused());
    let id = node.call("add", json!({ "queue": "q", "name": "system.echo" })).await["id"].clone();
    node.call("waitUntilFinished", json!({ "queue": "q", "jobId": id })).await;
    node.call("add", json!({ "queue": "q", "name": "again" })).await;
    eventually("an attempt that moved", async || metrics.render().contains("outcome=\"moved\"").then_some(())).await;
    worker.stop(Duration::from_secs(5)).await;
    says("operator_worker_slots{state=\"total\"} 0").await;
    says("operator_worker_slots{state=\"used\"} 0").await;
}

#[tokio::test]
async fn limits_and_waits_given_to_the_builder_hold() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let worker = Worker::builder(redis.url())
        .queue("q")
        .name("limited")
        .limiter(1, Duration::from_millis(20))
        .max_started_attempts(3)
        .backoff(|job, attempts, failure| {
            assert_eq!((job.name.as_str(), failure.message.as_str()), ("fail", "come again"));
            (attempts < 2).then_some(Duration::from_millis(1))
        })
        .metrics(60)
        .keep_completed(Keep::count(1))
        .keep_failed(Keep::All)
        .job("fail", fail)
        .job("again", again)
        .start()
        .await
        .unwrap();

    let custom = json!({ "attempts": 9, "backoff": { "type": "mine", "delay": 1 } });
    for (name, opts, made, reason) in [
        ("fail", custom, 2, "come again"),
        ("again", json!({ "attempts": 9 }), 1, "job started more than allowable limit"),
    ] {
        let id = node.call("add", json!({ "queue": "q", "name": name, "opts": opts })).await["id"].clone();
        let end = node.try_call("waitUntilFinished", json!({ "queue": "q", "jobId": id })).await;
        assert_eq!(end.unwrap_err().message, reason);
        let job = node.call("getJob", json!({ "queue": "q", "jobId": id })).await;
        assert_eq!((&job["attemptsMade"], &job["processedBy"]), (&json!(made), &json!("limited")), "{job}");
    }
    for _ in 0..3 {
        let id = node.call("add", json!({ "queue": "q", "name": "system.echo" })).await["id"].clone();
        node.call("waitUntilFinished", json!({ "queue": "q", "jobId": id })).await;
    }
    let counts = node.call("getJobCounts", json!({ "queue": "q", "types": ["completed", "failed"] })).await;
    assert_eq!(counts, json!({ "completed": 1, "failed": 2 }));
    let metrics = node.queue("q", "getMetrics", json!(["completed"])).await;
    assert_eq!(metrics["meta"]["count"], 3, "{metrics}");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_limit_of_nothing_is_refused_before_anything_is_tried() {
    let started = Worker::builder("redis://127.0.0.1:1").limiter(0, Duration::from_secs(1)).start().await;
    let error = started.err().unwrap();
    assert!(matches!(error, WorkerError::Queue(_)) && error.to_string().contains("limiter.max"), "{error}");
}
