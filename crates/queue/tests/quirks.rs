//! What BullMQ does and nobody asked for: seen in BullMQ, and what we do instead or alike. The numbers are those of
//! `docs/bullmq-compatibility.md`; quirks that are not here are shown by the tests that the page names.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod pair;
mod rig;

use std::time::Duration;

use operator_core::{Failure, JobOptions, JobState, Json, Keep, KeepLimits, Priority};
use operator_queue::worker::{Consumer, HeldJob, RateLimit, WorkerOptions};
use operator_queue::{Queue, QueueError};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer, RedisClient};
use pair::Pair;
use rig::{Rig, job, options, with};
use serde_json::{Value, json};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

fn consumer(queue: Queue, limiter: Option<RateLimit>) -> Consumer {
    let options = WorkerOptions { limiter, ..WorkerOptions::new([queue.name().clone()]) };
    Consumer::new(queue, &options)
}

async fn claimed(consumer: &Consumer) -> HeldJob {
    consumer.claim().await.unwrap().job.unwrap()
}

fn child_of(parent: Value, child: Value) -> Value {
    let mut parent = parent;
    parent["children"] = json!([child]);
    parent
}

/// Quirk 2: BullMQ sets no marker when a prioritized job moves back, and a sleeper sleeps on.
#[tokio::test]
async fn a_prioritized_job_that_moves_back_wakes_a_sleeper() {
    let rig = Rig::start().await;
    let priority = JobOptions { priority: Priority::new(5).unwrap(), ..JobOptions::default() };
    rig.queue.add(with("echo", "a", priority)).await.unwrap();
    let held = claimed(&consumer(rig.queue.clone(), None)).await;
    let sleepy = WorkerOptions { idle_wait: LONG, stalled_interval: LONG, ..options(&rig.queue, 1) };
    let worker = rig.worker_with(sleepy).await;
    eventually("the marker to be taken", async || {
        (rig.raw.call(&["EXISTS", "bull:q:marker"]).await.int() == 0).then_some(())
    })
    .await;
    held.move_to_wait().await.unwrap();
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
}

/// Quirk 3.
#[tokio::test]
async fn the_queues_maximum_holds_for_the_workers_duration() {
    let pair = Pair::start().await;
    pair.add("a", json!({})).await;
    pair.add("b", json!({})).await;
    pair.their_queue("setGlobalRateLimit", json!([1, 1000])).await;
    pair.mirror().await;
    let limiter = json!({ "max": 100, "duration": 600_000 });
    pair.node.call("startWorker", json!({ "queue": "q", "processor": "echo", "limiter": limiter })).await;
    let ours = consumer(pair.queue("q"), Some(RateLimit { max: 100, duration: LONG }));
    claimed(&ours).await.complete(Json::null()).await.unwrap();
    assert!(ours.claim().await.unwrap().limited_for.is_some());
    for client in [&pair.theirs, &pair.ours] {
        let left = eventually("the limiter to count", async || {
            Some(client.call(&["PTTL", "bull:q:limiter"]).await.int()).filter(|left| *left > 0)
        });
        assert!((1001..=600_000).contains(&left.await));
    }
}

/// Quirk 5: what such an id becomes in BullMQ is in `odd-hashes.jsonl`.
#[tokio::test]
async fn an_id_without_a_job_counts_against_no_limit() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    rig.raw.call(&["RPUSH", "bull:q:wait", "ghost"]).await.ok();
    let consumer = consumer(rig.queue.clone(), Some(RateLimit { max: 1, duration: LONG }));
    let claim = async || Some(consumer.claim().await.ok()?.job?.job().id.to_string());
    assert_eq!(eventually("the job behind it", claim).await, "a");
    assert!(rig.raw.keys("bull:q:ghost").await.is_empty());
}

/// Quirk 6.
#[tokio::test]
async fn a_parent_that_must_fail_waits_its_delay() {
    let pair = Pair::start().await;
    let parent = json!({ "name": "n", "queueName": "p", "opts": { "jobId": "parent", "delay": 600_000 } });
    let child = json!({ "name": "n", "queueName": "q", "data": { "do": "fail" },
        "opts": { "jobId": "c", "failParentOnFailure": true } });
    pair.flow(child_of(parent, child)).await;
    pair.mirror().await;
    pair.run().await;
    claimed(&consumer(pair.queue("q"), None)).await.fail(Failure::retryable("no")).await.unwrap();
    for client in [&pair.theirs, &pair.ours] {
        let failure = client.call(&["HGET", "bull:p:parent", "defa"]).await.text();
        assert_eq!(failure, "child bull:q:c failed");
        assert_eq!(client.call(&["ZRANGE", "bull:p:delayed", "0", "-1"]).await.texts(), ["parent"]);
    }
}

/// Quirk 10.
#[tokio::test]
async fn a_removed_job_leaves_no_lock() {
    let pair = Pair::start().await;
    pair.add_data("old", json!({ "do": "echo" }), json!({})).await;
    pair.run().await;
    pair.theirs.call(&["SET", "bull:q:old:lock", "token"]).await.ok();
    pair.add_data("new", json!({ "do": "echo" }), json!({ "removeOnComplete": { "count": 1 } })).await;
    pair.mirror().await;
    pair.run().await;
    claimed(&consumer(pair.queue("q"), None)).await.complete(Json::null()).await.unwrap();
    let left = async |client: &RedisClient| client.keys("bull:q:old").await.into_iter().collect::<Vec<_>>();
    assert_eq!(left(&pair.theirs).await, ["bull:q:old:lock"]);
    assert!(left(&pair.ours).await.is_empty());
}

/// Quirk 11.
#[tokio::test]
async fn finishing_a_job_removes_a_thousand_older_ones_at_most() {
    let rig = Rig::start().await;
    let fill = "for n = 1, 2500 do redis.call('HSET', 'bull:q:n' .. n, 'name', 'n'); \
                redis.call('ZADD', 'bull:q:completed', n, 'n' .. n) end";
    rig.raw.call(&["EVAL", fill, "0"]).await.ok();
    let few = JobOptions { remove_on_complete: Some(Keep::count(10)), ..JobOptions::default() };
    rig.queue.add_bulk(["a", "b", "c"].map(|id| with("echo", id, few.clone())).to_vec()).await.unwrap();
    let consumer = consumer(rig.queue.clone(), None);
    for left in [1501, 502, 10] {
        claimed(&consumer).await.complete(Json::null()).await.unwrap();
        assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Completed), left);
    }
    assert!(rig.raw.keys("bull:q:n2493").await.is_empty());
    assert_eq!(rig.raw.call(&["EXISTS", "bull:q:n2494"]).await.int(), 1, "the newest stay");

    rig.raw.call(&["DEL", "bull:q:completed"]).await.ok();
    rig.raw.call(&["EVAL", fill, "0"]).await.ok();
    let aged = |limit| Some(Keep::Limited(KeepLimits { count: None, age_s: Some(60), limit }));
    for (id, limit, left) in [("d", None, 1501), ("e", Some(5000), 502), ("f", Some(100), 403)] {
        let opts = JobOptions { remove_on_complete: aged(limit), ..JobOptions::default() };
        rig.queue.add(with("echo", id, opts)).await.unwrap();
        claimed(&consumer).await.complete(Json::null()).await.unwrap();
        assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Completed), left, "{limit:?}");
    }
}

/// Quirk 12.
#[tokio::test]
async fn a_failed_child_that_is_not_kept_lets_its_parent_go() {
    let pair = Pair::start().await;
    let parent = json!({ "name": "n", "queueName": "p", "opts": { "jobId": "parent" } });
    let child = json!({ "name": "n", "queueName": "q", "data": { "do": "fail" },
        "opts": { "jobId": "c", "removeOnFail": true } });
    pair.flow(child_of(parent, child)).await;
    pair.mirror().await;
    pair.run().await;
    claimed(&consumer(pair.queue("q"), None)).await.fail(Failure::retryable("no")).await.unwrap();
    for client in [&pair.theirs, &pair.ours] {
        assert_eq!(client.call(&["LRANGE", "bull:p:wait", "0", "-1"]).await.texts(), ["parent"]);
    }
}

/// A paused queue to which BullMQ 5 has added `old` and we have added `new`.
async fn paused_with_jobs_of_both(rig: &Rig) -> NodePeer {
    let five = NodePeer::bullmq(BullMq::V5, &rig.server.url(), "bull").await;
    rig.queue.pause().await.unwrap();
    five.call("add", json!({ "queue": "q", "name": "echo", "opts": { "jobId": "old" } })).await;
    rig.queue.add(job("echo", "new")).await.unwrap();
    assert_eq!(rig.raw.call(&["LRANGE", "bull:q:paused", "0", "-1"]).await.texts(), ["old"]);
    assert_eq!(rig.raw.call(&["LRANGE", "bull:q:wait", "0", "-1"]).await.texts(), ["new"]);
    five
}

#[tokio::test]
async fn a_queue_that_version_five_resumes_loses_what_others_added() {
    let rig = Rig::start().await;
    let five = paused_with_jobs_of_both(&rig).await;
    five.call("resume", json!({ "queue": "q" })).await;
    assert_eq!(rig.raw.call(&["LRANGE", "bull:q:wait", "0", "-1"]).await.texts(), ["old"]);
    assert_eq!(rig.queue.state("new").await.unwrap(), JobState::Unknown);
}

#[tokio::test]
async fn a_queue_that_we_resume_loses_nothing() {
    let rig = Rig::start().await;
    let _five = paused_with_jobs_of_both(&rig).await;
    rig.queue.resume().await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 2).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn bullmq_overwrites_what_a_queue_says_of_itself() {
    let rig = Rig::start().await;
    rig.queue.register().await.unwrap();
    let meta = async || rig.raw.call(&["HMGET", "bull:q:meta", "version", "opts.maxLenEvents"]).await.texts();
    assert_eq!(meta().await, ["bullmq:6.7.0", "10000"]);
    rig.raw.call(&["HSET", "bull:q:meta", "opts.maxLenEvents", "50"]).await.ok();
    let five = NodePeer::bullmq(BullMq::V5, &rig.server.url(), "bull").await;
    five.call("getMeta", json!({ "queue": "q" })).await;
    assert_eq!(meta().await, [format!("bullmq:{}", five.hello()["version"].as_str().unwrap()).as_str(), "10000"]);
    let again = Queue::new(&operator_queue::Redis::connect(&rig.config).await.unwrap(), rig.queue.name().clone());
    again.register().await.unwrap();
    assert_eq!(meta().await[0], format!("bullmq:{}", five.hello()["version"].as_str().unwrap()), "ours stays behind");
}

#[tokio::test]
async fn ids_of_both_stand_side_by_side() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let added = async || node.call("add", json!({ "queue": "q", "name": "echo" })).await["id"].clone();
    assert_eq!(added().await, "1");
    let ours = rig.queue.add(job("echo", "")).await.unwrap();
    assert_eq!(uuid::Uuid::parse_str(ours.as_str()).unwrap().get_version_num(), 7);
    // What we add counts, too, so that tools find the queue by its counter.
    assert_eq!(added().await, "3");
    let number = JobOptions { job_id: Some(operator_core::JobId::from_wire("7")), ..JobOptions::default() };
    let refused = rig.queue.add(with("echo", "7", number)).await;
    assert!(matches!(refused, Err(QueueError::InvalidId(_))), "{refused:?}");
}
