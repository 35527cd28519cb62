//! Administration of whole queues beside BullMQ: the same operation leaves the same keys, but for the differences that
//! are declared here.

mod pair;

use std::time::Duration;

use operator_core::JobState;
use operator_queue::{QueueError, QueueRefusal};
use operator_testkit::redis::{Content, Entry};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use pair::queues::{finished, full_queue, list_of, score, sorted};
use pair::{Pair, quietly};
use serde_json::json;

#[tokio::test]
async fn all_finished_jobs_run_again_in_the_places_that_are_theirs() {
    let pair = Pair::start().await;
    finished(&pair).await;
    pair.mirror().await;
    let queue = pair.queue("q");
    pair.their_queue("retryJobs", json!([{ "state": "completed", "count": 1 }])).await;
    assert_eq!(queue.retry_jobs(JobState::Completed, 1, None, quietly).await.unwrap(), 2);
    pair.assert_same("completed").await;
    let first = pair.theirs.call(&["ZRANGE", "bull:q:failed", "0", "0", "WITHSCORES"]).await.texts();
    let until: u64 = first[1].parse().unwrap();
    pair.their_queue("retryJobs", json!([{ "state": "failed", "timestamp": until - 1 }])).await;
    assert_eq!(queue.retry_jobs(JobState::Failed, 1000, Some(until - 1), quietly).await.unwrap(), 0);
    pair.assert_same("none that old").await;

    let mut steps = Vec::new();
    pair.their_queue("retryJobs", json!([{ "count": 2 }])).await;
    queue.retry_jobs(JobState::Failed, 2, None, |progress| steps.push((progress.jobs, progress.done))).await.unwrap();
    assert_eq!(steps, [(2, false), (4, false), (5, true)]);
    pair.assert_same_but("failed", |theirs| {
        // Declared: priority and lifo are honoured (quirk 1).
        let wait = list_of(theirs, "bull:q:wait");
        wait.retain(|id| id != "urgent" && id != "front");
        wait.push("front".to_owned());
        theirs.insert("bull:q:prioritized".to_owned(), sorted(&[("urgent", score(4, 1))]));
        theirs.insert("bull:q:pc".to_owned(), Entry { content: Content::Text("1".to_owned()), expires: false });
    })
    .await;
}

#[tokio::test]
async fn all_delayed_jobs_are_promoted_to_the_places_that_are_theirs() {
    let pair = Pair::start().await;
    pair.add("later", json!({ "delay": 700_000 })).await;
    pair.add("soon", json!({ "delay": 600_000 })).await;
    pair.add("urgent", json!({ "delay": 650_000, "priority": 2 })).await;
    pair.add("front", json!({ "delay": 660_000, "lifo": true })).await;
    pair.mirror().await;
    pair.their_queue("promoteJobs", json!([{ "count": 3 }])).await;
    assert_eq!(pair.queue("q").promote_jobs(3, quietly).await.unwrap(), 4);
    pair.assert_same_but("promoted", |theirs| {
        // Declared: priority and lifo are honoured (quirk 1).
        *list_of(theirs, "bull:q:wait") = ["later", "soon", "front"].map(str::to_owned).to_vec();
        theirs.insert("bull:q:prioritized".to_owned(), sorted(&[("urgent", score(2, 1))]));
        theirs.insert("bull:q:pc".to_owned(), Entry { content: Content::Text("1".to_owned()), expires: false });
    })
    .await;

    pair.clear().await;
    pair.add("plain", json!({ "delay": 600_000 })).await;
    pair.add("front", json!({ "delay": 600_000, "lifo": true })).await;
    pair.mirror().await;
    for id in ["plain", "front"] {
        pair.their_job(id, "promote", json!([])).await;
        pair.queue("q").promote(id).await.unwrap();
    }
    pair.assert_same_but("one by one", |theirs| {
        // Declared: BullMQ forgets that a delayed job was to go first (quirk 1).
        list_of(theirs, "bull:q:wait").reverse();
    })
    .await;
}

#[tokio::test]
async fn a_drained_queue_holds_what_bullmq_leaves_in_it() {
    let pair = Pair::start().await;
    full_queue(&pair).await;
    pair.mirror().await;
    let iteration = pair.theirs.call(&["LINDEX", "bull:q:wait", "0"]).await.text();
    pair.their_queue("drain", json!([])).await;
    let mut last = None;
    let removed = pair.queue("q").drain(false, |progress| last = Some(progress)).await.unwrap();
    assert_eq!((removed, last.unwrap().jobs, last.unwrap().done), (8, 8, true));
    // Declared: BullMQ spares an iteration's hash and drops its id, or that of another job (quirk 7).
    pair.assert_same_but("waiting", |theirs| *list_of(theirs, "bull:q:wait") = vec![iteration.clone()]).await;
    pair.their_queue("drain", json!([true])).await;
    assert_eq!(pair.queue("q").drain(true, quietly).await.unwrap(), 1);
    pair.assert_same_but("delayed", |theirs| *list_of(theirs, "bull:q:wait") = vec![iteration]).await;
}

#[tokio::test]
async fn a_parent_elsewhere_keeps_its_priority_when_its_child_is_drained() {
    let pair = Pair::start().await;
    pair.flow(json!({ "name": "n", "queueName": "p", "opts": { "jobId": "urgent", "priority": 6, "delay": 5000 },
        "children": [{ "name": "n", "queueName": "q", "opts": { "jobId": "c" } }] }))
        .await;
    pair.mirror().await;
    pair.their_queue("drain", json!([])).await;
    pair.queue("q").drain(false, quietly).await.unwrap();
    pair.assert_same_but("released", |theirs| {
        // Declared: BullMQ puts it into wait whatever its priority (quirk 1).
        theirs.remove("bull:p:wait");
        theirs.insert("bull:p:prioritized".to_owned(), sorted(&[("urgent", score(6, 1))]));
        theirs.insert("bull:p:pc".to_owned(), Entry { content: Content::Text("1".to_owned()), expires: false });
    })
    .await;
}

#[tokio::test]
async fn a_state_is_cleaned_as_bullmq_cleans_it() {
    const STATES: [(JobState, &str); 7] = [
        (JobState::Waiting, "wait"),
        (JobState::Active, "active"),
        (JobState::Delayed, "delayed"),
        (JobState::Prioritized, "prioritized"),
        (JobState::Completed, "completed"),
        (JobState::Failed, "failed"),
        (JobState::WaitingChildren, "waiting-children"),
    ];
    let pair = Pair::start().await;
    for (state, key) in STATES {
        for limit in [None, Some(1), Some(2)] {
            pair.clear().await;
            full_queue(&pair).await;
            pair.theirs.call(&["RPUSH", "bull:q:active", "lost", "held", "ghost"]).await.ok();
            for id in ["lost", "held"] {
                let fields = ["name", "n", "data", "{}", "opts", "{}", "timestamp", "1700000000000", "processedOn"];
                let key = format!("bull:q:{id}");
                let mut command = vec!["HSET", key.as_str()];
                command.extend(fields);
                command.push("1700000000500");
                pair.theirs.call(&command).await.ok();
            }
            pair.theirs.call(&["SET", "bull:q:held:lock", "token"]).await.ok();
            // All jobs are as old as this millisecond; a later one decides.
            let now = operator_queue::now_ms();
            eventually("the clock to go on", async || (operator_queue::now_ms() > now).then_some(())).await;
            pair.mirror().await;
            let theirs = pair.their_queue("clean", json!([0, limit.unwrap_or(0), key])).await;
            let ours = pair.queue("q").clean(Duration::ZERO, limit, state, quietly).await.unwrap();
            assert_eq!(json!(ours), theirs, "{key}, limit {limit:?}");
            pair.assert_same(&format!("{key}, limit {limit:?}")).await;
        }
    }
}

#[tokio::test]
async fn only_what_is_old_enough_is_cleaned() {
    let pair = Pair::start().await;
    let now = operator_queue::now_ms();
    for (id, timestamp) in [("old", now - 70_000), ("young", now - 10_000), ("early", 9_999)] {
        pair.add(id, json!({ "timestamp": timestamp })).await;
    }
    pair.theirs.call(&["ZADD", "bull:q:completed", &now.to_string(), "finished"]).await.ok();
    pair.mirror().await;
    let grace = Duration::from_secs(60);
    assert_eq!(pair.their_queue("clean", json!([60_000, 0, "completed"])).await, json!([]));
    assert!(pair.queue("q").clean(grace, None, JobState::Completed, quietly).await.unwrap().is_empty());
    pair.assert_same("nothing is old enough").await;
    let theirs = pair.their_queue("clean", json!([60_000, 0, "wait"])).await;
    assert_eq!(theirs, json!(["old"]));
    let ours = pair.queue("q").clean(grace, None, JobState::Waiting, quietly).await.unwrap();
    // Declared: BullMQ compares times as text, so 9999 is later than 1700000000000 (quirk 15).
    assert_eq!(ours, ["early", "old"]);
    assert_eq!(pair.ours.call(&["LRANGE", "bull:q:wait", "0", "-1"]).await.texts(), ["young"]);
}

#[tokio::test]
async fn an_obliterated_queue_leaves_nothing() {
    let pair = Pair::start().await;
    full_queue(&pair).await;
    pair.add("held", json!({})).await;
    pair.theirs.call(&["LREM", "bull:q:wait", "1", "held"]).await.ok();
    pair.theirs.call(&["RPUSH", "bull:q:active", "held"]).await.ok();
    pair.theirs.call(&["SET", "bull:q:held:lock", "token"]).await.ok();
    pair.mirror().await;
    let queue = pair.queue("q");
    let theirs = pair.node.try_call("call", json!({ "queue": "q", "method": "obliterate" })).await.unwrap_err();
    assert!(theirs.message.contains("active jobs"), "{theirs:?}");
    let error = queue.obliterate(false, quietly).await.unwrap_err();
    let expected = QueueRefusal::ActiveJobs;
    assert!(matches!(error, QueueError::QueueRefused { refusal, .. } if refusal == expected), "{error}");
    pair.assert_same("refused, and paused").await;

    for (command, key) in [("SET", "limiter"), ("SET", "de:gone"), ("XADD", "operator:history")] {
        let key = format!("bull:q:{key}");
        let rest: &[&str] = if command == "XADD" { &["*", "record", "r"] } else { &["x"] };
        let words: Vec<_> = [command, &key].into_iter().chain(rest.iter().copied()).collect();
        pair.ours.call(&words).await.ok();
    }
    pair.ours.call(&["HSET", "bull:q:lost", "name", "n", "data", "{}", "opts", "{}", "timestamp", "1"]).await.ok();
    for foreign in ["bull:q:sub:wait", "bull:q2:meta", "bull:q:sub:failed"] {
        pair.ours.call(&["SET", foreign, "somebody else's"]).await.ok();
    }
    pair.their_queue("obliterate", json!([{ "force": true }])).await;
    queue.obliterate(true, quietly).await.unwrap();
    let left: Vec<_> = pair.ours.keys("bull:q").await.into_iter().collect();
    assert_eq!(left, ["bull:q2:meta", "bull:q:sub:failed", "bull:q:sub:wait"]);
    for key in left {
        pair.ours.call(&["DEL", &key]).await.ok();
    }
    // Declared: BullMQ leaves what waits for children (quirk 9); the parents elsewhere are dealt with alike.
    pair.assert_same_but("nothing left", |theirs| theirs.retain(|key, _| !key.starts_with("bull:q:"))).await;
}

#[tokio::test]
async fn bullmq_leaves_our_own_keys_alone() {
    let pair = Pair::start().await;
    let five = NodePeer::bullmq(BullMq::V5, &pair.url(), "bull").await;
    full_queue(&pair).await;
    let own = ["bull:q:operator:history", "bull::operator:queues"];
    pair.theirs.call(&["XADD", own[0], "*", "record", "r"]).await.ok();
    pair.theirs.call(&["SADD", own[1], "q"]).await.ok();
    for peer in [&pair.node, &five] {
        for reading in ["getJobCounts", "getJobs", "getWorkers"] {
            assert!(!peer.queue("q", reading, json!([])).await.is_null());
        }
        peer.queue("q", "drain", json!([true])).await;
        peer.queue("q", "clean", json!([0, 1000, "completed"])).await;
    }
    pair.their_queue("removeOrphanedJobs", json!([])).await;
    for peer in [&pair.node, &five] {
        peer.queue("q", "obliterate", json!([{ "force": true }])).await;
    }
    for key in own {
        assert_eq!(pair.theirs.call(&["EXISTS", key]).await.int(), 1, "{key}");
    }
}

#[tokio::test]
async fn orphans_are_removed_and_nothing_else() {
    let pair = Pair::start().await;
    full_queue(&pair).await;
    pair.their_queue("pause", json!([])).await;
    for id in ["waiting", "only"] {
        pair.theirs.call(&["LREM", "bull:q:wait", "1", id]).await.ok();
    }
    pair.theirs.call(&["SET", "bull:q:waiting:lock", "token"]).await.ok();
    pair.mirror().await;
    assert_eq!(pair.their_queue("removeOrphanedJobs", json!([])).await, 2);
    assert_eq!(pair.queue("q").remove_orphans(quietly).await.unwrap(), 2);
    pair.assert_same("orphans").await;

    // Declared: BullMQ takes every key that it does not know for a job's (quirk 9).
    let spared = [
        vec!["HSET", "bull:q:metrics:failed", "count", "1"],
        vec!["HSET", "bull:q:foo", "not", "a job"],
        vec!["SET", "bull:q:bar", "not a job"],
        vec!["RPUSH", "bull:q:gone:logs", "a line"],
        vec!["XADD", "bull:q:operator:history", "*", "record", "r"],
    ];
    for command in &spared {
        pair.ours.call(command).await.ok();
    }
    assert_eq!(pair.queue("q").remove_orphans(quietly).await.unwrap(), 0);
    for command in &spared {
        assert_eq!(pair.ours.call(&["EXISTS", command[1]]).await.int(), 1, "{}", command[1]);
    }
}
