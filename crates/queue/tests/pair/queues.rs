//! Queues to begin with, made by BullMQ, and what differs from it on purpose.

use operator_testkit::redis::{Content, Entry};
use serde_json::json;

use super::{Keyspace, Pair};

/// A job in every state that one can be removed from, one that owns a deduplication id, and one with a log.
pub(crate) async fn jobs_in_every_state(pair: &Pair) {
    pair.add_data("good", json!({ "do": "echo" }), json!({})).await;
    pair.add_data("bad", json!({ "do": "fail" }), json!({ "removeOnFail": false })).await;
    pair.run().await;
    pair.add("waiting", json!({})).await;
    pair.add("owner", json!({ "deduplication": { "id": "d" } })).await;
    pair.add("throttle", json!({ "deduplication": { "id": "t", "ttl": 600_000 } })).await;
    pair.add("late", json!({ "delay": 600_000, "priority": 2 })).await;
    pair.add("urgent", json!({ "priority": 3 })).await;
    pair.their_job("waiting", "log", json!(["a line"])).await;
    pair.flow(json!({ "name": "n", "queueName": "q", "opts": { "jobId": "parent" },
        "children": [{ "name": "n", "queueName": "other", "opts": { "jobId": "child" } }] }))
        .await;
    pair.flow(json!({ "name": "n", "queueName": "p", "opts": { "jobId": "elsewhere", "delay": 600_000 },
        "children": [{ "name": "n", "queueName": "q", "opts": { "jobId": "only" } }] }))
        .await;
}

/// Three levels over two queues; of the children of `root` one is completed, one failed it, one was ignored, one waits,
/// and one waits for its own.
pub(crate) async fn tree(pair: &Pair) {
    let child = |id: &str, word: &str, opts: serde_json::Value| {
        let mut opts = opts;
        opts["jobId"] = id.into();
        json!({ "name": "n", "queueName": "q", "data": { "do": word }, "opts": opts })
    };
    let mut middle = child("middle", "echo", json!({}));
    middle["queueName"] = "p".into();
    middle["children"] =
        json!([child("leaf", "echo", json!({ "delay": 600_000 })), child("late", "echo", json!({ "delay": 600_000 }))]);
    pair.flow(json!({ "name": "n", "queueName": "p", "opts": { "jobId": "root" }, "children": [
        child("done", "echo", json!({})),
        child("broken", "fail", json!({ "failParentOnFailure": true })),
        child("ignored", "fail", json!({ "ignoreDependencyOnFailure": true })),
        child("waits", "echo", json!({ "delay": 600_000 })),
        middle,
    ] }))
    .await;
    pair.run().await;
}

/// Finished jobs with and without priority and `lifo`, and a parent of finished children.
pub(crate) async fn finished(pair: &Pair) {
    pair.add_data("plain", json!({ "do": "fail" }), json!({ "attempts": 1 })).await;
    pair.add_data("urgent", json!({ "do": "fail" }), json!({ "priority": 4, "lifo": true })).await;
    pair.add_data("front", json!({ "do": "fail" }), json!({ "lifo": true })).await;
    pair.add_data("good", json!({ "do": "echo" }), json!({})).await;
    tree(pair).await;
}

/// Jobs in every state, parents in this queue and in another that wait for one, and schedulers whose iterations are in
/// wait and in delayed.
pub(crate) async fn full_queue(pair: &Pair) {
    jobs_in_every_state(pair).await;
    let only = |id: &str| json!([{ "name": "n", "queueName": "q", "opts": { "jobId": id } }]);
    for (queue, parent, child) in [("q", "p1", "c1"), ("p", "p2", "c2")] {
        let opts = json!({ "jobId": parent, "delay": 5000 });
        pair.flow(json!({ "name": "n", "queueName": queue, "opts": opts, "children": only(child) })).await;
    }
    let grandparent = json!({ "name": "n", "queueName": "p", "opts": { "jobId": "p3" }, "children": [
        { "name": "n", "queueName": "q", "opts": { "jobId": "p4" }, "children": only("c4") }
    ] });
    pair.flow(grandparent).await;
    let upsert = |id: &str, repeat: serde_json::Value| json!({ "queue": "q", "schedulerId": id, "repeat": repeat });
    pair.node.call("upsertScheduler", upsert("later", json!({ "every": 600_000, "offset": 1 }))).await;
    pair.node.call("upsertScheduler", upsert("now", json!({ "every": 600_000 }))).await;
}

pub(crate) fn list_of<'a>(keys: &'a mut Keyspace, key: &str) -> &'a mut Vec<String> {
    let entry = Entry { content: Content::List(Vec::new()), expires: false };
    match &mut keys.entry(key.to_owned()).or_insert(entry).content {
        Content::List(ids) => ids,
        other => panic!("{key} is {other:?}"),
    }
}

pub(crate) fn sorted(members: &[(&str, u64)]) -> Entry {
    let members = members.iter().map(|(member, score)| ((*member).to_owned(), score.to_string())).collect();
    Entry { content: Content::Sorted(members), expires: false }
}

/// The score of the nth job of a priority.
pub(crate) fn score(priority: u64, nth: u64) -> u64 {
    (priority << 32) + nth
}
