//! Jobs that BullMQ added, run by the worker, read by BullMQ again.

use operator_testkit::{BullMq, NodePeer, RedisServer};
use serde_json::{Value, json};

use crate::running::{QUEUE, Running, id_of};

/// Adds a job and waits for its end: the result, or the error's message; and how many attempts it took.
async fn run(node: &NodePeer, name: &str, data: Value, attempts: u32) -> (Result<Value, String>, u64) {
    let job = json!({ "queue": QUEUE, "name": name, "data": data, "opts": { "attempts": attempts } });
    let id = id_of(&node.call("add", job).await);
    let end = node.try_call("waitUntilFinished", json!({ "queue": QUEUE, "jobId": id })).await;
    let job = node.call("getJob", json!({ "queue": QUEUE, "jobId": id })).await;
    (end.map_err(|error| error.message), job["attemptsMade"].as_u64().unwrap())
}

#[tokio::test]
async fn jobs_of_the_system_pack_end_as_specified_in_the_eyes_of_bullmq() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let worker = Running::start(&redis.url(), &[]).await;

    let data = json!({ "text": "größer", "list": [1, 2.5, null] });
    assert_eq!(run(&node, "system.echo", data.clone(), 1).await, (Ok(data), 1));
    assert_eq!(run(&node, "system.sleep", json!({ "ms": 5 }), 1).await, (Ok(json!({ "sleptMs": 5 })), 1));
    assert_eq!(run(&node, "system.flaky", json!({ "failures": 2 }), 3).await, (Ok(json!({ "attempts": 3 })), 3));

    let paper = json!({ "message": "out of paper" });
    assert_eq!(run(&node, "system.fail", paper, 2).await, (Err("out of paper".to_owned()), 2));
    let fire = json!({ "message": "on fire", "unrecoverable": true });
    assert_eq!(run(&node, "system.fail", fire, 5).await, (Err("on fire".to_owned()), 1));

    let (answer, _) = run(&node, "system.http", json!({ "url": worker.url("/version") }), 1).await;
    let answer = answer.unwrap();
    assert_eq!(answer["status"], 200);
    assert!(answer["body"].as_str().unwrap().contains("operator-worker"), "{answer}");
}

#[tokio::test]
async fn a_name_nobody_provides_fails_for_good_and_says_what_there_is() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let worker = Running::start(&redis.url(), &[]).await;

    let (end, attempts) = run(&node, "invoice.total", json!({}), 5).await;
    let reason = end.unwrap_err();
    assert!(reason.contains("`invoice.total`") && reason.contains("system.echo"), "{reason}");
    assert_eq!(attempts, 1);

    let series = format!("operator_job_run_seconds_count{{queue=\"{QUEUE}\",name=\"unknown\",outcome=\"failed\"}} 1");
    worker.wait_for_metric(&series).await;
}

#[tokio::test]
async fn what_a_worker_did_is_in_its_metrics() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let worker = Running::start(&redis.url(), &[("WORKER_CONCURRENCY", "3")]).await;

    let (_, before) = worker.get("/metrics").await;
    for counter in ["started", "completed", "failed", "retried", "stalled", "handed_back"] {
        let line = format!("operator_jobs_{counter}_total{{queue=\"{QUEUE}\"}} 0");
        assert!(before.contains(&line), "{line} is missing: {before}");
    }
    run(&node, "system.flaky", json!({ "failures": 1 }), 2).await.0.unwrap();
    run(&node, "system.echo", json!(1), 1).await.0.unwrap();
    let run = |name: &str, outcome: &str| {
        format!("operator_job_run_seconds_count{{queue=\"{QUEUE}\",name=\"{name}\",outcome=\"{outcome}\"}} 1")
    };
    for line in [
        &run("system.flaky", "retried"),
        &run("system.flaky", "completed"),
        &run("system.echo", "completed"),
        &format!("operator_jobs_started_total{{queue=\"{QUEUE}\"}} 3"),
        &format!("operator_jobs_completed_total{{queue=\"{QUEUE}\"}} 2"),
        &format!("operator_jobs_retried_total{{queue=\"{QUEUE}\"}} 1"),
        "operator_worker_slots{state=\"total\"} 3",
        "operator_worker_slots{state=\"used\"} 0",
    ] {
        worker.wait_for_metric(line).await;
    }
}

#[tokio::test]
async fn a_worker_of_several_queues_serves_and_is_listed_on_each() {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let _worker = Running::start(&redis.url(), &[("QUEUE_NAME", "mail, work"), ("OPERATOR_WORKER_NAME", "anna")]).await;
    for queue in ["mail", "work"] {
        let job = json!({ "queue": queue, "name": "system.echo", "data": queue });
        let id = id_of(&node.call("add", job).await);
        let result = node.call("waitUntilFinished", json!({ "queue": queue, "jobId": id })).await;
        assert_eq!(result, queue);
        operator_testkit::eventually("the worker to be listed", async || {
            let workers = node.call("getWorkers", json!({ "queue": queue })).await;
            let is_listed = |worker: &Value| worker["rawname"].as_str().is_some_and(|name| name.ends_with(":w:anna"));
            workers.as_array()?.iter().any(is_listed).then_some(())
        })
        .await;
    }
}
