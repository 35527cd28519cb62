//! Jobs that leave their attempt and come back: later, after a rest of their queue, behind children they added.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::time::Duration;

use operator_testkit::{BullMq, NodePeer, RedisServer};
use operator_worker::{Context, Failure, JobId, JobOptions, NewJob, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase")]
enum Report {
    Collect { months: Vec<u64> },
    AddUp,
}

/// Lets the months be counted in another queue, waits for them and adds them up.
async fn report(report: Report, context: Context) -> Result<u64, Failure> {
    if let Report::Collect { months } = report {
        for month in months {
            let id = format!("{}-{month}", context.job_id());
            let opts =
                JobOptions { job_id: Some(JobId::custom(id)?), fail_parent_on_failure: true, ..JobOptions::default() };
            context.add_child("months", NewJob::new("month.count", json!(month)).with(opts)).await?;
        }
        context.update_data(Report::AddUp).await?;
    }
    context.wait_for_children().await?;
    Ok(context.children_values::<u64>().await?.into_values().sum())
}

async fn count(month: u64, _: Context) -> Result<u64, Failure> {
    if month > 12 { Err(Failure::unrecoverable("there is no such month")) } else { Ok(month * 100) }
}

/// Asks somebody who wants to be asked later the first time.
async fn ask(how: String, context: Context) -> Result<String, Failure> {
    let pause = Duration::from_millis(50);
    match (context.job().attempts_started, how.as_str()) {
        (1, "later") => Err(context.move_to_delayed(pause).await),
        (1, "at") => Err(context.move_to_delayed_until(context.timestamp_ms() + 50).await),
        (1, "again") => Err(context.move_to_wait().await),
        (1, "rest") => Err(context.rate_limit(pause).await),
        (1, "never") => Err(context.move_to_delayed(Duration::MAX).await),
        _ => Ok(how),
    }
}

async fn start() -> (RedisServer, NodePeer, Worker) {
    let redis = RedisServer::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let builder = Worker::builder(redis.url()).queue("reports").queue("months").concurrency(2);
    let worker = builder.job("report", report).job("month.count", count).job("ask", ask).start().await.unwrap();
    (redis, node, worker)
}

/// Adds a job and waits for its end; returns the job with the result or the reason.
async fn run(node: &NodePeer, name: &str, data: Value) -> (Value, Result<Value, String>) {
    let job = json!({ "queue": "reports", "name": name, "data": data, "opts": { "attempts": 3 } });
    let id = node.call("add", job).await["id"].clone();
    let end = node.try_call("waitUntilFinished", json!({ "queue": "reports", "jobId": id })).await;
    let job = node.call("getJob", json!({ "queue": "reports", "jobId": id })).await;
    (job, end.map_err(|error| error.message))
}

#[tokio::test]
async fn a_job_adds_children_in_another_queue_and_goes_on_with_what_they_return() {
    let (_redis, node, worker) = start().await;
    let (job, end) = run(&node, "report", json!({ "step": "collect", "months": [1, 2, 3] })).await;
    assert_eq!(end, Ok(json!(600)));
    assert_eq!((&job["data"], &job["attemptsMade"]), (&json!({ "step": "addUp" }), &json!(1)), "{job}");
    let values = node.job("reports", job["id"].as_str().unwrap(), "getChildrenValues", json!([])).await;
    assert_eq!(values.as_object().unwrap().len(), 3, "{values}");
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_child_that_fails_fails_the_job_that_waits_for_it() {
    let (_redis, node, worker) = start().await;
    let (job, end) = run(&node, "report", json!({ "step": "collect", "months": [1, 13] })).await;
    assert!(end.unwrap_err().contains("failed"));
    assert_eq!(job["attemptsMade"], 1, "{job}");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_moves_itself_in_every_way_without_using_up_an_attempt() {
    let (_redis, node, worker) = start().await;
    for how in ["later", "at", "again", "rest"] {
        let (job, end) = run(&node, "ask", json!(how)).await;
        assert_eq!(end, Ok(json!(how)));
        assert_eq!((&job["attemptsMade"], &job["attemptsStarted"]), (&json!(1), &json!(2)), "{how}: {job}");
    }
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_move_that_cannot_be_made_fails_the_job_and_says_why() {
    let (_redis, node, worker) = start().await;
    let (job, end) = run(&node, "ask", json!("never")).await;
    let reason = end.unwrap_err();
    assert!(reason.contains("opts.delay") && reason.contains("100 years"), "{reason}");
    assert_eq!(job["attemptsMade"], 1, "no attempt can make it: {job}");
    worker.stop(Duration::ZERO).await;
}
