//! Producers: jobs, batches of jobs, and trees of them.

use serde_json::{Value, json};

use super::Generator;
use super::scene::Scene;

/// How deep a tree is at most, and how many children a job in it has.
const DEPTH: usize = 3;
const CHILDREN: usize = 3;

impl Generator {
    pub(super) fn add(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let mut opts = self.job_options(scene, &queue);
        if self.chance.percent(6)
            && let Some(parent) = self.parent(scene)
        {
            // A job that is there already may be above its parent, and of such a ring we tell each job once.
            if opts["jobId"].as_str().is_some_and(|id| scene.has(&queue, id)) {
                return None;
            }
            // The server holds children in an order of their ids.
            if opts["jobId"].is_null() {
                opts["jobId"] = self.new_name('j').into();
            }
            opts["parent"] = parent;
        }
        let mut add = json!({ "op": "add", "queue": queue, "name": "n", "data": self.data(), "opts": opts });
        if opts["jobId"].is_null() {
            add["as"] = self.new_name('g').into();
        }
        Some(add)
    }

    /// What can be done whatever there is.
    pub(super) fn add_plain(&mut self) -> Value {
        let queue = self.queue();
        json!({ "op": "add", "queue": queue, "name": "n", "opts": { "jobId": self.new_name('j') } })
    }

    pub(super) fn add_bulk(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let jobs: Vec<Value> = (0..=self.chance.below(4))
            .map(|_| {
                let opts = self.bulk_options(scene, &queue);
                let mut job = json!({ "name": "n", "data": self.data(), "opts": opts });
                if opts["jobId"].is_null() {
                    job["as"] = self.new_name('g').into();
                }
                job
            })
            .collect();
        Some(json!({ "op": "addBulk", "queue": queue, "jobs": jobs }))
    }

    pub(super) fn add_flow(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let flow = self.tree(scene, DEPTH);
        Some(json!({ "op": "addFlow", "flow": flow }))
    }

    pub(super) fn add_flows(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let flows: Vec<Value> = (0..2).map(|_| self.tree(scene, 2)).collect();
        Some(json!({ "op": "addFlows", "flows": flows }))
    }

    /// A running job that divides its work, and as a rule waits for it.
    pub(super) fn add_child(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene).filter(|held| can_be_parent(&held.id))?;
        let queue = self.queue();
        // A job that exists may be above its parent, and then we refuse to wait for it.
        let id = self.new_name('j');
        let mut opts = self.flow_options(id, true);
        opts["parent"] = json!({ "id": self.written(&held.queue, &held.id)?, "queue": format!("bull:{}", held.queue) });
        if self.chance.percent(70) {
            self.planned.push_back(json!({ "op": "moveToWaitingChildren", "job": held.name }));
        }
        Some(json!({ "op": "add", "queue": queue, "name": "child", "opts": opts }))
    }

    /// Jobs of a batch are all legal: how much of a batch is written before a wrong one is found is no promise.
    fn bulk_options(&mut self, scene: &Scene<'_>, queue: &str) -> Value {
        loop {
            let options = self.job_options(scene, queue);
            let is_spoilt = options["sizeLimit"] == 1
                || options["priority"] == 2_097_152
                || ["12", "one:colon"].iter().any(|id| options["jobId"] == *id)
                || options["deduplication"].is_object() && options["deduplication"]["id"].is_null();
            if !is_spoilt {
                return options;
            }
        }
    }

    /// Any job as a parent, or one that is not there.
    fn parent(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let states = ["waiting-children", "active", "wait", "delayed", "completed", "failed"];
        let id = self.target(scene, &queue, &states).filter(|id| can_be_parent(id))?;
        Some(json!({ "id": id, "queue": format!("bull:{queue}") }))
    }

    /// A tree, in which a job that is there already may be the top or stand below it, but not both: else jobs could
    /// wait for each other, and we refuse that.
    fn tree(&mut self, scene: &Scene<'_>, depth: usize) -> Value {
        let taken = if self.chance.percent(50) { Taken::AtTheTop } else { Taken::Below };
        self.node(scene, depth, false, taken)
    }

    fn node(&mut self, scene: &Scene<'_>, depth: usize, is_child: bool, taken: Taken) -> Value {
        let queue = self.queue();
        let children =
            if depth == 1 || is_child && self.chance.percent(50) { 0 } else { self.chance.below(CHILDREN + 1) };
        let may_be_taken = if is_child { taken == Taken::Below && children == 0 } else { taken == Taken::AtTheTop };
        let id = if may_be_taken { self.job_id(scene, &queue) } else { self.new_name('j') };
        let opts = self.flow_options(id, is_child);
        let mut node = json!({ "name": "f", "queueName": queue, "opts": opts });
        if self.chance.percent(30) {
            node["data"] = json!({ "n": self.chance.below(100) });
        }
        if children > 0 {
            node["children"] = (0..children).map(|_| self.node(scene, depth - 1, true, taken)).collect();
        }
        node
    }
}

/// Where in a tree a job may be that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    AtTheTop,
    Below,
}

/// BullMQ takes what follows the last colon of a parent's key for its id, so that the jobs of schedulers are lost as
/// parents.
fn can_be_parent(id: &str) -> bool {
    !id.contains(':')
}
