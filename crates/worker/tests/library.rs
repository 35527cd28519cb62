//! A worker inside a program: typed functions, what they report, and what happens when one panics.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::time::Duration;

use operator_testkit::{BullMq, NodePeer, RedisServer};
use operator_worker::{Context, Failure, Worker, WorkerError};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Invoice {
    cents: Vec<u64>,
}

async fn total(invoice: Invoice, context: Context) -> Result<u64, Failure> {
    for line in ["first", "second", "third"] {
        context.log(line).await?;
    }
    context.progress(json!({ "step": "adding" })).await?;
    Ok(invoice.cents.iter().sum())
}

async fn explode(_: Value, _: Context) -> Result<(), Failure> {
    panic!("the boiler burst")
}

/// Adds a job and waits for its end; returns its id with the result or the reason.
async fn run(node: &NodePeer, name: &str, data: Value, opts: Value) -> (String, Result<Value, String>) {
    let job = json!({ "queue": "billing", "name": name, "data": data, "opts": opts });
    let id = node.call("add", job).await["id"].as_str().unwrap().to_owned();
    let end = node.try_call("waitUntilFinished", json!({ "queue": "billing", "jobId": id })).await;
    (id, end.map_err(|error| error.message))
}

#[tokio::test]
async fn a_typed_function_runs_jobs_and_bullmq_reads_its_progress_and_logs() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let worker = Worker::builder(redis.url()).queue("billing").job("invoice.total", total).start().await.unwrap();

    let (id, end) = run(&node, "invoice.total", json!({ "cents": [250, 1999] }), json!({ "keepLogs": 2 })).await;
    assert_eq!(end, Ok(json!(2249)));
    let job = node.call("getJob", json!({ "queue": "billing", "jobId": id })).await;
    assert_eq!(job["progress"], json!({ "step": "adding" }));
    let logs = node.call("getJobLogs", json!({ "queue": "billing", "jobId": id })).await;
    assert_eq!(logs["logs"], json!(["second", "third"]));

    let (_, end) = run(&node, "invoice.total", json!({ "cents": ["a lot"] }), json!({ "attempts": 3 })).await;
    let reason = end.unwrap_err();
    assert!(reason.contains("`invoice.total`") && reason.contains("cents[0]"), "{reason}");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_panic_fails_the_attempt_of_its_own_job_and_nothing_else() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let builder = Worker::builder(redis.url()).queue("billing").concurrency(4);
    let worker = builder.job("boiler", explode).job("invoice.total", total).start().await.unwrap();

    let slow = json!({ "queue": "billing", "name": "system.sleep", "data": { "ms": 300 } });
    let slow = node.call("add", slow).await["id"].as_str().unwrap().to_owned();
    let (id, end) = run(&node, "boiler", json!(null), json!({ "attempts": 2 })).await;
    assert!(end.unwrap_err().contains("the boiler burst"));
    let job = node.call("getJob", json!({ "queue": "billing", "jobId": id })).await;
    assert_eq!(job["attemptsMade"], 2);

    let (_, end) = run(&node, "invoice.total", json!({ "cents": [1] }), json!({})).await;
    assert_eq!(end, Ok(json!(1)));
    let end = node.call("waitUntilFinished", json!({ "queue": "billing", "jobId": slow })).await;
    assert_eq!(end, json!({ "sleptMs": 300 }));
    let drained = worker.stop(Duration::from_secs(5)).await;
    assert_eq!((drained.handed_back, drained.left), (0, 0));
}

#[tokio::test]
async fn an_unusable_queue_name_is_refused_before_anything_is_tried() {
    let started = Worker::builder("redis://127.0.0.1:1").queue("a:b").start().await;
    let error = started.err().unwrap();
    assert!(matches!(error, WorkerError::Queue(_)) && error.to_string().contains("colon"), "{error}");
}

#[tokio::test]
async fn a_function_that_blocks_runs_on_a_thread_of_its_own_and_shows_that_it_lives() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    // The test's runtime has one thread: a job that took it would leave nothing to answer with.
    let builder = Worker::builder(redis.url()).queue("billing").with_job_types(|registry| {
        registry.register_blocking("compute", |steps: u64, context: Context| {
            for _ in 0..steps {
                std::thread::sleep(Duration::from_millis(20));
                context.heartbeat();
            }
            Ok(context.deadline().is_some() && context.time_left() > Some(Duration::from_secs(1)))
        });
        registry.register_blocking("burst", |_: Value, _: Context| -> Result<(), Failure> { panic!("at the disco") });
    });
    let worker = builder.start().await.unwrap();
    let opts = json!({ "heartbeatTimeoutMs": 1000, "timeoutMs": 600_000 });
    let (_, end) = run(&node, "compute", json!(10), opts).await;
    assert_eq!(end, Ok(json!(true)));
    let (_, end) = run(&node, "burst", json!(null), json!({})).await;
    assert_eq!(end, Err("the job panicked: at the disco".to_owned()));
    worker.stop(Duration::ZERO).await;
}
