//! Flows and deduplication from our side: what is added whole, what stands for what, and BullMQ working on it.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use operator_core::{Deduplication, FlowJob, JobId, JobOptions, JobState, Json, ParentRef, QueueName};
use operator_queue::events::Finished;
use operator_queue::worker::{Worker, WorkerOptions};
use operator_queue::{FlowProducer, Queue, QueueError, Redis, RedisConfig, Refusal};
use operator_testkit::fault::Proxy;
use operator_testkit::redis::RedisCluster;
use operator_testkit::wait::LIMIT;
use operator_testkit::{BullMq, NodePeer};
use rig::{Rig, Script, job, options, with};
use serde_json::json;

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// A job of a flow under an id of its own.
fn node(queue_name: &str, name: &str, id: &str, opts: JobOptions) -> FlowJob {
    let opts = JobOptions { job_id: Some(JobId::from_wire(id)), ..opts };
    FlowJob::new(queue(queue_name), name, Json::encode(&json!({ "of": id })).unwrap()).with(opts)
}

fn plain(queue_name: &str, name: &str, id: &str) -> FlowJob {
    node(queue_name, name, id, JobOptions::default())
}

/// Three levels over two queues: root waits for two, one of which waits for two more.
fn three_levels() -> FlowJob {
    let middle = plain("q", "echo", "middle")
        .waiting_for(plain("q", "echo", "leaf1"))
        .waiting_for(plain("other", "flaky", "leaf2"));
    plain("q", "echo", "root").waiting_for(middle).waiting_for(plain("other", "echo", "side"))
}

fn of_dedup(id: &str, dedup: Deduplication) -> JobOptions {
    JobOptions { deduplication: Some(Deduplication { id: id.to_owned(), ..dedup }), ..JobOptions::default() }
}

#[tokio::test]
async fn a_flow_runs_from_its_leaves_to_its_root() {
    let rig = Rig::start().await;
    let added = FlowProducer::new(&rig.redis).add(&three_levels()).await.unwrap();
    assert_eq!(added.children.len(), 2);
    assert_eq!(added.children[0].children[1].id.as_str(), "leaf2");
    assert_eq!(rig.queue.state("root").await.unwrap(), JobState::WaitingChildren);
    let both = WorkerOptions { queues: vec![queue("q"), queue("other")], ..options(&rig.queue, 4) };
    let worker = rig.worker_with(both).await;
    // `flaky` fails its only attempt, and has no policy: its parent waits until it is retried.
    rig.until(JobState::Completed, 1).await;
    let other = Queue::new(&rig.redis, queue("other"));
    operator_testkit::wait::eventually("leaf2 has failed", async || {
        (other.state("leaf2").await.ok()? == JobState::Failed).then_some(())
    })
    .await;
    assert_eq!(rig.queue.state("middle").await.unwrap(), JobState::WaitingChildren);
    other.retry("leaf2", operator_queue::RetryOptions::default()).await.unwrap();
    rig.until(JobState::Completed, 3).await;
    let finished: Vec<_> = rig.events().await.into_iter().filter(|event| event.starts_with("completed")).collect();
    assert_eq!(finished, ["completed leaf1", "completed middle", "completed root"]);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn bullmq_reads_and_runs_our_flows() {
    let rig = Rig::start().await;
    let producer = FlowProducer::new(&rig.redis);
    let mut flow = three_levels();
    flow.children[0].children[1].opts.attempts = 2;
    producer.add(&flow).await.unwrap();
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let tree = peer
        .call("call", json!({ "target": "flow", "method": "getFlow", "args": [{ "id": "root", "queueName": "q" }] }));
    let tree = tree.await;
    assert_eq!(tree["children"].as_array().unwrap().len(), 2, "{tree}");
    for name in ["q", "other"] {
        peer.call("startWorker", json!({ "queue": name, "processor": "echo" })).await;
    }
    rig.until(JobState::Completed, 3).await;
    let values = peer.job("q", "root", "getChildrenValues", json!([])).await;
    assert_eq!(values, json!({ "bull:q:middle": { "of": "middle" }, "bull:other:side": { "of": "side" } }));
}

#[tokio::test]
async fn a_refused_flow_leaves_nothing_behind() {
    let rig = Rig::start().await;
    let producer = FlowProducer::new(&rig.redis).with_max_jobs(10);
    producer.add(&plain("q", "echo", "first").waiting_for(plain("q", "echo", "child"))).await.unwrap();
    let before = rig.raw.dump("bull:q").await;

    let stolen = producer.add(&plain("q", "echo", "second").waiting_for(plain("q", "echo", "child"))).await;
    assert!(
        matches!(&stolen, Err(QueueError::Refused { id, refusal: Refusal::ParentConflict }) if id == "child"),
        "{stolen:?}"
    );
    let orphan = JobOptions {
        parent: Some(ParentRef { id: JobId::from_wire("nobody"), queue: "bull:q".to_owned() }),
        ..JobOptions::default()
    };
    let orphaned = producer.add(&node("q", "echo", "third", orphan.clone())).await;
    assert!(matches!(orphaned, Err(QueueError::Refused { refusal: Refusal::ParentMissing, .. })), "{orphaned:?}");
    let orphaned = rig.queue.add_bulk(vec![job("echo", "fine"), with("echo", "orphan", orphan)]).await;
    assert!(
        matches!(&orphaned, Err(QueueError::Refused { id, refusal: Refusal::ParentMissing }) if id == "orphan"),
        "{orphaned:?}"
    );
    for (flow, word) in [
        (plain("q", "echo", "loop").waiting_for(plain("q", "echo", "loop")), "wait for itself"),
        (
            plain("q", "echo", "dedup").with(of_dedup("d", Deduplication::default())).waiting_for(plain("q", "e", "x")),
            "children",
        ),
        (
            plain("q", "echo", "deep").waiting_for(node("q", "e", "y", of_dedup("d", Deduplication::default()))),
            "opts.parent",
        ),
        (
            plain("q", "echo", "two").waiting_for(node(
                "q",
                "e",
                "z",
                JobOptions {
                    fail_parent_on_failure: true,
                    remove_dependency_on_failure: true,
                    ..JobOptions::default()
                },
            )),
            "only one of",
        ),
        (
            (0..11).fold(plain("q", "e", "big"), |flow, at| flow.waiting_for(plain("q", "e", &format!("c{at}")))),
            "more than 10",
        ),
        (plain("q", "echo", "12"), "integer"),
    ] {
        let refused = producer.add(&flow).await.unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
    assert_eq!(rig.raw.dump("bull:q").await, before, "nothing was written");
}

#[tokio::test]
async fn a_flow_whose_answer_was_lost_is_added_once() {
    let rig = Rig::start().await;
    let proxy = Proxy::to(rig.server.port()).await;
    let redis = Redis::connect(&RedisConfig::new(rig.server.url_on(proxy.port()))).await.unwrap();
    let producer = FlowProducer::new(&redis);
    producer.add(&plain("q", "echo", "warm").waiting_for(plain("q", "echo", "up"))).await.unwrap();
    proxy.lose_reply_to("leaf2");
    producer.add(&three_levels()).await.unwrap();
    let events = rig.events().await;
    let added = events.iter().filter(|event| event.starts_with("added")).count();
    assert_eq!((added, events.iter().any(|event| event.starts_with("duplicated"))), (5, false), "{events:?}");
    assert_eq!(rig.raw.call(&["SCARD", "bull:q:middle:dependencies"]).await.int(), 2);
}

#[tokio::test]
async fn in_a_cluster_a_flow_stays_in_one_slot() {
    let cluster = RedisCluster::start().await;
    let redis = Redis::connect(&RedisConfig::new(cluster.url())).await.unwrap();
    let producer = FlowProducer::new(&redis);
    let apart = producer.add(&plain("{a}", "echo", "root").waiting_for(plain("{b}", "echo", "child"))).await;
    assert!(matches!(&apart, Err(QueueError::DifferentSlots { .. })), "{apart:?}");
    let elsewhere = ParentRef { id: JobId::from_wire("root"), queue: "bull:{b}".to_owned() };
    let orphan = JobOptions { parent: Some(elsewhere), ..JobOptions::default() };
    let orphaned = Queue::new(&redis, queue("{a}")).add(with("echo", "child", orphan)).await;
    assert!(matches!(&orphaned, Err(QueueError::DifferentSlots { .. })), "{orphaned:?}");
    let untagged = producer.add(&plain("a", "echo", "root").waiting_for(plain("a", "echo", "child"))).await;
    assert!(untagged.unwrap_err().to_string().contains("OPERATOR_PREFIX"));

    producer.add(&plain("{a}1", "echo", "root").waiting_for(plain("{a}2", "echo", "child"))).await.unwrap();
    let names = ["{a}1", "{a}2"].map(queue);
    let options = WorkerOptions::new(names).with_concurrency(2);
    let worker = Worker::start(&RedisConfig::new(cluster.url()), options, Arc::new(Script)).await.unwrap();
    let root = Queue::new(&redis, queue("{a}1"));
    assert!(matches!(root.wait_until_finished("root", LIMIT).await.unwrap(), Finished::Completed(_)));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_child_that_has_completed_counts_at_once() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "done")).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    FlowProducer::new(&rig.redis)
        .add(&plain("q", "echo", "root").waiting_for(plain("q", "echo", "done")))
        .await
        .unwrap();
    rig.until(JobState::Completed, 2).await;
    let processed = rig.raw.call(&["HGETALL", "bull:q:root:processed"]).await.texts();
    assert_eq!(processed, ["bull:q:done", r#"{"of":"done"}"#]);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn one_job_stands_for_all_of_its_deduplication_id() {
    let rig = Rig::start().await;
    let add = async |id: &str, delay_ms: u64, dedup: Deduplication| {
        let opts = JobOptions { delay_ms, ..of_dedup("d", dedup) };
        rig.queue.add(with("echo", id, opts)).await.unwrap().to_string()
    };
    let simple = Deduplication::default;
    assert_eq!((add("a", 60_000, simple()).await, add("b", 0, simple()).await), ("a".to_owned(), "a".to_owned()));
    let replace = Deduplication { replace: true, ..simple() };
    assert_eq!(add("c", 60_000, replace.clone()).await, "c");
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Unknown, "the delayed owner was replaced");
    let reschedule = Deduplication { reschedule: true, ..simple() };
    assert_eq!(add("d", 120_000, reschedule).await, "c");
    assert_eq!(rig.queue.job("c").await.unwrap().unwrap().delay_ms, 120_000);
    rig.queue.promote("c").await.unwrap();
    assert_eq!(add("e", 60_000, replace).await, "c", "only a delayed owner is replaced");

    // A whole batch is judged in its order, on what its own earlier jobs left.
    let batch = ["f", "g", "h"].map(|id| {
        with(
            "echo",
            id,
            JobOptions { delay_ms: 60_000, ..of_dedup("batch", Deduplication { replace: true, ..simple() }) },
        )
    });
    let ids = rig.queue.add_bulk(batch.to_vec()).await.unwrap();
    assert_eq!(ids.iter().map(JobId::as_str).collect::<Vec<_>>(), ["f", "g", "h"]);
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Delayed), 1, "each replaced the one before");

    // An owner that vanished does not block its id.
    rig.raw.call(&["DEL", "bull:q:c"]).await.ok();
    assert_eq!(add("i", 0, simple()).await, "i");
}

#[tokio::test]
async fn the_last_job_that_came_while_one_ran_runs_after_it() {
    let rig = Rig::start().await;
    let keep = Deduplication { keep_last_if_active: true, ..Deduplication::default() };
    let add = async |name: &str, id: &str| rig.queue.add(with(name, id, of_dedup("d", keep.clone()))).await.unwrap();
    add("hang", "first").await;
    let worker = rig.worker(1).await;
    rig.until(JobState::Active, 1).await;
    assert_eq!(add("echo", "second").await.as_str(), "first");
    assert_eq!(add("echo", "third").await.as_str(), "first");
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 0);
    worker.stop(Duration::ZERO).await;
    // Handed back it still stands for the others; finished it makes room for the last of them.
    rig.raw.call(&["HSET", "bull:q:first", "name", "echo"]).await.ok();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 2).await;
    assert_eq!(rig.queue.state("third").await.unwrap(), JobState::Completed);
    assert_eq!(rig.queue.state("second").await.unwrap(), JobState::Unknown);
    assert!(
        rig.raw
            .keys("bull:q:d")
            .await
            .iter()
            .all(|key| !key.starts_with("bull:q:de:") && !key.starts_with("bull:q:dn:"))
    );
    worker.stop(Duration::ZERO).await;
}
