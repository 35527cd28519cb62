//! What a flow shows of its jobs: beside BullMQ in Node, on the same keys, and on damaged ones.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use operator_core::JobState;
use operator_queue::keys::JobKey;
use operator_queue::{DependencyCounts, DependencyKind, FlowNode, Queue};
use operator_testkit::node::{BullMq, NodePeer};
use rig::{Rig, job};
use serde_json::{Value, json};

/// A parent `P` whose children have settled in every way: `ok` completed, `ignored` failed without consequence, `fatal`
/// failed it, `open` (with a child of its own) and `lone` wait in another queue.
async fn settled_flow(rig: &Rig, peer: &NodePeer) {
    let child = |name: &str, queue: &str, opts: Value| json!({ "name": name, "queueName": queue, "opts": opts });
    let mut open = child("echo", "other", json!({ "jobId": "open" }));
    open["children"] = json!([child("echo", "third", json!({ "jobId": "deep" }))]);
    let children = json!([
        child("echo", "q", json!({ "jobId": "ok" })),
        child("fail", "q", json!({ "jobId": "ignored", "ignoreDependencyOnFailure": true })),
        child("fail", "q", json!({ "jobId": "fatal", "failParentOnFailure": true })),
        open,
        child("echo", "other", json!({ "jobId": "lone" })),
    ]);
    let flow = json!({ "name": "hang", "queueName": "q", "opts": { "jobId": "P" }, "children": children });
    peer.call("addFlow", json!({ "flow": flow })).await;
    let worker = rig.worker(5).await;
    rig.until(JobState::Failed, 3).await;
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
}

fn keys(node: &Value) -> BTreeSet<String> {
    node.as_array().into_iter().flatten().map(|key| key.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_parent_knows_its_children_as_in_node() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    settled_flow(&rig, &peer).await;

    let values = serde_json::to_value(rig.queue.children_values("P").await.unwrap()).unwrap();
    assert_eq!(values, peer.job("q", "P", "getChildrenValues", json!([])).await);
    assert_eq!(values, json!({ "bull:q:ok": {} }));
    let ignored = json!(rig.queue.ignored_children_failures("P").await.unwrap());
    assert_eq!(ignored, peer.job("q", "P", "getIgnoredChildrenFailures", json!([])).await);
    assert_eq!(ignored, json!({ "bull:q:ignored": "it failed" }));

    let counts = rig.queue.dependency_counts("P").await.unwrap();
    assert_eq!(counts, DependencyCounts { processed: 1, unprocessed: 2, ignored: 1, failed: 1 });
    let ours = json!({
        "processed": counts.processed, "unprocessed": counts.unprocessed,
        "ignored": counts.ignored, "failed": counts.failed,
    });
    assert_eq!(ours, peer.job("q", "P", "getDependenciesCount", json!([])).await);

    let theirs = peer.job("q", "P", "getDependencies", json!([])).await;
    assert_eq!(json!(rig.queue.failed_children("P").await.unwrap()), theirs["failed"]);
    let page = rig.queue.dependencies("P", DependencyKind::Unprocessed, 0, 100).await.unwrap();
    assert_eq!(page.items.into_iter().map(|child| child.key).collect::<BTreeSet<_>>(), keys(&theirs["unprocessed"]));
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn a_child_knows_its_parent_even_when_the_id_has_colons() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    settled_flow(&rig, &peer).await;
    let other = Queue::new(&rig.redis, "other".to_owned().try_into().unwrap());
    assert_eq!(other.parent("lone").await.unwrap(), JobKey::parse("bull:q:P"));
    assert_eq!(rig.queue.parent("P").await.unwrap(), None);

    let parent = json!({ "parent": { "id": "a:b:c", "queue": "bull:q" }, "jobId": "x" });
    peer.call("add", json!({ "queue": "q", "name": "echo", "opts": { "jobId": "a:b:c" } })).await;
    peer.call("add", json!({ "queue": "q", "name": "echo", "opts": parent })).await;
    let found = rig.queue.parent("x").await.unwrap().unwrap();
    assert_eq!((found.queue.as_str(), found.id.as_str()), ("q", "a:b:c"));
}

/// The ids of a tree as Node and we see it: `[id, [children]]`; null for a job that is gone.
fn shape(node: &FlowNode) -> Value {
    let Some(job) = &node.job else { return Value::Null };
    json!([job.id.as_str(), node.children.iter().map(shape).collect::<Vec<_>>()])
}

fn shape_of_node(node: &Value) -> Value {
    if node.is_null() {
        return Value::Null;
    }
    let children = node["children"].as_array().into_iter().flatten().map(shape_of_node).collect::<Vec<_>>();
    json!([node["job"]["id"], children])
}

#[tokio::test]
async fn a_flow_is_the_tree_that_node_shows() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    settled_flow(&rig, &peer).await;
    for (queue, id, depth) in [("q", "P", 10), ("q", "P", 2), ("q", "P", 1), ("other", "open", 10), ("q", "ok", 10)] {
        let options = json!([{ "id": id, "queueName": queue, "depth": depth, "maxChildren": 20 }]);
        let theirs = peer.call("call", json!({ "target": "flow", "method": "getFlow", "args": options })).await;
        let ours = Queue::new(&rig.redis, queue.to_owned().try_into().unwrap());
        let tree = ours.flow_tree(id, depth, 20).await.unwrap().unwrap();
        assert_eq!(shape(&tree), shape_of_node(&theirs), "{id} to {depth}");
        assert_eq!(tree.has_more, id == "P" && depth == 1);
    }
    let tree = rig.queue.flow_tree("P", 2, 20).await.unwrap().unwrap();
    let more: Vec<_> = tree.children.iter().filter(|child| child.has_more).map(|child| child.key.to_string()).collect();
    assert_eq!(more, ["bull:other:open"]);

    rig.raw.call(&["DEL", "bull:q:ok"]).await.ok();
    let tree = rig.queue.flow_tree("P", 10, 20).await.unwrap().unwrap();
    assert_eq!((tree.children[0].key.to_string().as_str(), &tree.children[0].job), ("bull:q:ok", &None));
    assert_eq!(rig.queue.flow_tree("ok", 10, 20).await.unwrap(), None);
}

#[tokio::test]
async fn an_outline_of_a_flow_is_the_same_tree_without_what_may_be_large() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    settled_flow(&rig, &peer).await;
    let whole = rig.queue.flow_tree("P", 10, 20).await.unwrap().unwrap();
    rig.raw.reset_stats().await;
    let outline = rig.queue.flow_outline("P", 10, 20).await.unwrap().unwrap();
    assert_eq!(rig.raw.command_stats().await.get("hgetall"), None);
    assert_eq!(shape(&outline), shape(&whole));
    for (short, job) in outline.children.iter().zip(&whole.children) {
        let (short, job) = (short.job.as_ref().unwrap(), job.job.as_ref().unwrap());
        let told = |job: &operator_core::Job| {
            (job.name.clone(), job.timestamp_ms, job.attempts_made, job.finished_ms, job.failed_reason.clone())
        };
        assert_eq!(told(short), told(job));
        assert_eq!((&short.return_value, short.stacktrace.len()), (&None, 0));
    }
    for none in ["nobody", "meta", "P:dependencies"] {
        assert_eq!(rig.queue.flow_outline(none, 10, 20).await.unwrap(), None, "{none}");
    }
}

#[tokio::test]
async fn a_flow_that_names_a_job_twice_ends() {
    let rig = Rig::start().await;
    for id in ["a", "b", "c"] {
        rig.queue.add(job("echo", id)).await.unwrap();
    }
    for (parent, child) in [("a", "b"), ("b", "c"), ("c", "a"), ("c", "c"), ("b", "b"), ("a", "c")] {
        rig.raw.call(&["SADD", &format!("bull:q:{parent}:dependencies"), &format!("bull:q:{child}")]).await.ok();
    }
    rig.raw.call(&["SADD", "bull:q:c:dependencies", "not a key"]).await.ok();
    let tree = rig.queue.flow_tree("a", 1_000_000, 1000).await.unwrap().unwrap();
    let children: BTreeSet<_> = tree.children.iter().map(|child| child.key.to_string()).collect();
    assert_eq!(children, ["bull:q:b", "bull:q:c"].map(str::to_owned).into());
    assert!(tree.children.iter().all(|child| child.children.is_empty()));
}

#[tokio::test]
async fn many_children_come_in_pages_and_in_a_tree_no_more_than_asked_for() {
    const CHILDREN: usize = 2500;
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "p")).await.unwrap();
    for kind in ["processed", "failed"] {
        let mut command = vec!["HSET".to_owned(), format!("bull:q:p:{kind}")];
        command.extend((0..CHILDREN).flat_map(|n| [format!("bull:q:{kind}{n}"), n.to_string()]));
        rig.raw.call(&command).await.ok();
    }
    let mut command = vec!["ZADD".to_owned(), "bull:q:p:unsuccessful".to_owned()];
    command.extend((0..CHILDREN).flat_map(|n| [n.to_string(), format!("bull:q:bad{n}")]));
    rig.raw.call(&command).await.ok();
    rig.raw.call(&["HSET", "bull:q:p:processed", "bull:q:text", "not json"]).await.ok();

    let values = rig.queue.children_values("p").await.unwrap();
    assert_eq!((values.len(), values["bull:q:processed7"].as_str()), (CHILDREN + 1, "7"));
    assert_eq!(values["bull:q:text"].as_str(), r#""not json""#);
    assert_eq!(rig.queue.ignored_children_failures("p").await.unwrap().len(), CHILDREN);
    assert_eq!(rig.queue.failed_children("p").await.unwrap()[CHILDREN - 1], format!("bull:q:bad{}", CHILDREN - 1));

    let (mut cursor, mut seen, mut pages) = (0, BTreeSet::new(), 0);
    loop {
        let page = rig.queue.dependencies("p", DependencyKind::Ignored, cursor, 100).await.unwrap();
        seen.extend(page.items.into_iter().map(|child| child.key));
        pages += 1;
        let Some(next) = page.next else { break };
        cursor = next;
    }
    assert_eq!(seen.len(), CHILDREN);
    assert!(pages > 10, "{pages}");

    let tree = rig.queue.flow_tree("p", 3, 30).await.unwrap().unwrap();
    assert_eq!((tree.children.len(), tree.has_more), (30, true));
}
