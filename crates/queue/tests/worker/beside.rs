//! BullMQ's workers beside ours: what one moves the other goes on with, and both keep to one limit.

use std::time::Duration;

use operator_core::{Failure, JobId, JobOptions, JobState, Json, NewJob, ParentRef, QueueName};
use operator_queue::Queue;
use operator_queue::worker::{ClaimedJob, RateLimit, WorkerOptions};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use serde_json::{Value, json};

use crate::journal::{journal, starts, words};
use crate::limits::assert_rate;
use crate::rig::{Rig, job, options};
use crate::{Gate, done, worker_of};

async fn rig_with_node() -> (Rig, NodePeer) {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    (rig, node)
}

/// What the job `a` returned, once it has.
async fn result_of(rig: &Rig) -> Value {
    eventually("the job to complete", async || (rig.queue.state("a").await.ok()? == JobState::Completed).then_some(()))
        .await;
    rig.queue.job("a").await.unwrap().unwrap().return_value.unwrap().decode().unwrap()
}

fn named(name: &str, data: Value) -> NewJob {
    NewJob::new(name, data).with(JobOptions { job_id: Some(JobId::from_wire("a")), ..JobOptions::default() })
}

/// Moves the job as its name says, with a child in the queue `children` when it is to wait for one.
async fn leave(claimed: ClaimedJob, children: Queue) -> Result<Json, Failure> {
    let hold = &claimed.hold;
    match claimed.job.name.as_str() {
        "later" => hold.move_to_delayed(claimed.queue.now_ms() + 100).await?,
        "again" => hold.move_to_wait().await?,
        _ => {
            let parent = Some(ParentRef { id: claimed.job.id.clone(), queue: "bull:q".to_owned() });
            let job_id = Some(JobId::from_wire("c"));
            children
                .add(NewJob::new("child", json!({ "n": 42 })).with(JobOptions {
                    parent,
                    job_id,
                    ..JobOptions::default()
                }))
                .await?;
            assert!(hold.move_to_waiting_children(None).await?);
        }
    }
    Err(Failure::moved())
}

/// Ours takes the job and moves it; a worker of BullMQ is the only one left to go on with it. Answers with its result.
async fn moved_by_us(name: &str, processor: &str) -> (Value, Vec<String>) {
    let (rig, node) = rig_with_node().await;
    let children = Queue::new(&rig.redis, QueueName::new("children").unwrap());
    let gate = Gate::closed();
    let passed = gate.clone();
    let worker = worker_of(&rig.config, options(&rig.queue, 1), move |claimed| {
        let (gate, children) = (passed.clone(), children.clone());
        async move {
            gate.pass().await;
            leave(claimed, children).await
        }
    })
    .await;
    rig.queue.add(named(name, json!({ "n": 1 }))).await.unwrap();
    rig.until(JobState::Active, 1).await;
    worker.pause();
    gate.let_through(1);
    worker.status().idle().await;
    node.call("startWorker", json!({ "queue": "children", "processor": "echo" })).await;
    node.call("startWorker", json!({ "queue": "q", "processor": processor })).await;
    let result = result_of(&rig).await;
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::ZERO).await;
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((job.attempts_made, job.attempts_started), (1, 2));
    (result, words(&journal(&rig).await, "a").into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn bullmq_goes_on_with_a_job_that_ours_moved_to_delayed() {
    let (result, words) = moved_by_us("later", "echo").await;
    assert_eq!(result, json!({ "n": 1 }));
    assert_eq!(words, ["added", "waiting", "active", "delayed", "waiting", "active", "completed"]);
}

#[tokio::test]
async fn bullmq_goes_on_with_a_job_that_ours_moved_to_wait() {
    let (result, words) = moved_by_us("again", "echo").await;
    assert_eq!(result, json!({ "n": 1 }));
    assert_eq!(words, ["added", "waiting", "active", "waiting", "active", "completed"]);
}

#[tokio::test]
async fn bullmq_goes_on_with_a_job_that_ours_let_wait_for_children() {
    let (result, words) = moved_by_us("parent", "gather").await;
    assert_eq!(result, json!({ "bull:children:c": { "n": 42 } }));
    assert_eq!(words, ["added", "waiting", "active", "waiting-children", "waiting", "active", "completed"]);
}

/// A worker of BullMQ takes the job and moves it; ours is the only one left to go on with it.
async fn moved_by_node(processor: &str, into: JobState) {
    let (rig, node) = rig_with_node().await;
    node.call("startWorker", json!({ "queue": "q", "processor": processor })).await;
    rig.queue.add(named("any", json!({ "ms": 500, "childQueue": "children" }))).await.unwrap();
    rig.until(into, 1).await;
    node.call("stopWorker", json!({ "worker": "q" })).await;
    let children = Queue::new(&rig.redis, QueueName::new("children").unwrap());
    let both =
        WorkerOptions { queues: vec![rig.queue.name().clone(), children.name().clone()], ..options(&rig.queue, 2) };
    let worker = worker_of(&rig.config, both, |claimed| async move { Ok(claimed.job.data.clone()) }).await;
    result_of(&rig).await;
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((job.attempts_made, job.attempts_started), (1, 2));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn we_go_on_with_a_job_that_bullmq_moved_to_delayed() {
    moved_by_node("postpone", JobState::Delayed).await;
}

#[tokio::test]
async fn we_go_on_with_a_job_that_bullmq_let_wait_for_children() {
    moved_by_node("await_child", JobState::WaitingChildren).await;
}

#[tokio::test]
async fn our_workers_rest_when_a_job_of_bullmq_says_so() {
    let (rig, node) = rig_with_node().await;
    node.call("startWorker", json!({ "queue": "q", "processor": "rate_limited" })).await;
    rig.queue.add(named("any", json!({ "ms": 600 }))).await.unwrap();
    eventually("the queue to rest", async || rig.queue.rate_limit_ttl(None).await.ok()?).await;
    node.call("stopWorker", json!({ "worker": "q" })).await;
    let worker = rig.worker(5).await;
    rig.queue.add_bulk((0..5).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 6).await;
    // The rest begins after the first start, and nothing starts before its end.
    assert_rate(&starts(&journal(&rig).await)[..2], 1, 600);
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().attempts_made, 1);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_worker_of_bullmq_rests_when_a_job_of_ours_says_so() {
    let (rig, node) = rig_with_node().await;
    let worker = worker_of(&rig.config, options(&rig.queue, 1), |claimed| async move {
        if claimed.job.attempts_started == 1 {
            claimed.hold.rate_limit(Duration::from_millis(600)).await?;
            return Err(Failure::moved());
        }
        done()
    })
    .await;
    rig.queue.add(named("any", json!({}))).await.unwrap();
    eventually("the queue to rest", async || rig.queue.rate_limit_ttl(None).await.ok()?).await;
    worker.stop(Duration::ZERO).await;
    let limiter = json!({ "max": 100, "duration": 1000 });
    node.call("startWorker", json!({ "queue": "q", "processor": "echo", "concurrency": 5, "limiter": limiter })).await;
    rig.queue.add_bulk((0..5).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 6).await;
    assert_rate(&starts(&journal(&rig).await)[..2], 1, 600);
}

#[tokio::test]
async fn a_limiter_is_shared_with_workers_of_bullmq() {
    let (rig, node) = rig_with_node().await;
    rig.queue.pause().await.unwrap();
    rig.queue.add_bulk((0..20).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    let limiter = json!({ "max": 4, "duration": 300 });
    node.call("startWorker", json!({ "queue": "q", "processor": "echo", "concurrency": 4, "limiter": limiter })).await;
    let limiter = Some(RateLimit { max: 4, duration: Duration::from_millis(300) });
    let worker = rig.worker_with(WorkerOptions { limiter, ..options(&rig.queue, 4) }).await;
    rig.queue.resume().await.unwrap();
    rig.until(JobState::Completed, 20).await;
    assert_rate(&starts(&journal(&rig).await), 4, 300);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_global_concurrency_is_kept_together_with_workers_of_bullmq() {
    let (rig, node) = rig_with_node().await;
    rig.queue.set_global_concurrency(2).await.unwrap();
    node.call("startWorker", json!({ "queue": "q", "processor": "echo", "concurrency": 5 })).await;
    let worker = rig.worker(5).await;
    rig.queue.add_bulk((0..100).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 100).await;
    assert!(crate::journal::most_at_a_time(&journal(&rig).await) <= 2);
    worker.stop(Duration::ZERO).await;
}
