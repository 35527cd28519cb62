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
        let flow = self.node(scene, DEPTH, false);
        Some(json!({ "op": "addFlow", "flow": flow }))
    }

    pub(super) fn add_flows(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let flows: Vec<Value> = (0..2).map(|_| self.node(scene, 2, false)).collect();
        Some(json!({ "op": "addFlows", "flows": flows }))
    }

    /// A running job that divides its work, and as a rule waits for it.
    pub(super) fn add_child(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene)?;
        let queue = self.queue();
        let mut opts = self.flow_options(scene, &queue, true);
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
        let id = self.target(scene, &queue, &states)?;
        Some(json!({ "id": id, "queue": format!("bull:{queue}") }))
    }

    fn node(&mut self, scene: &Scene<'_>, depth: usize, is_child: bool) -> Value {
        let queue = self.queue();
        let opts = self.flow_options(scene, &queue, is_child);
        let mut node = json!({ "name": "f", "queueName": queue, "opts": opts });
        if self.chance.percent(30) {
            node["data"] = json!({ "n": self.chance.below(100) });
        }
        let children =
            if depth == 1 || is_child && self.chance.percent(50) { 0 } else { self.chance.below(CHILDREN + 1) };
        if children > 0 {
            node["children"] = (0..children).map(|_| self.node(scene, depth - 1, true)).collect();
        }
        node
    }
}
