//! The end of a mixed sequence: no more schedules, pauses and limits, and everything is worked off by both sides in
//! turn.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Run, SHARED};
use crate::answer::Answer;
use crate::generate::Scene;
use crate::keyspace;
use crate::operation::Operation;

/// How many steps draining may take: many times what the longest sequence leaves.
const STEPS: usize = 1000;

/// Where a job is as long as it has not come to its end.
const OPEN: [&str; 6] = ["wait", "active", "prioritized", "delayed", "waiting-children", "paused"];

impl Run<'_> {
    pub(super) async fn drain(&mut self, queues: &BTreeSet<String>) {
        for queue in queues {
            self.open(queue).await;
        }
        let mut retried = BTreeSet::new();
        for at in 0..STEPS {
            if !self.verdict.is_legal() {
                return;
            }
            let mut has_moved = false;
            for queue in queues {
                has_moved |= self.work_off(queue, at).await;
            }
            if !has_moved && !self.go_on(queues, &mut retried).await {
                break;
            }
        }
        let mut left = Vec::new();
        for queue in queues {
            for state in OPEN {
                left.extend(self.ids(queue, state).into_iter().map(|id| format!("{id} in {queue}:{state}")));
            }
        }
        if self.verdict.is_legal() && !left.is_empty() {
            self.verdict.problem = Some(format!("does not come to an end: {}", left.join(", ")));
        }
    }

    /// Takes away whatever keeps jobs from running, and gives back what was held.
    async fn open(&mut self, queue: &str) {
        let schedulers: Vec<String> = self.scene().schedulers(queue).into_iter().map(str::to_owned).collect();
        for scheduler in schedulers {
            self.ask(json!({ "op": "removeScheduler", "queue": queue, "scheduler": scheduler })).await;
        }
        for op in ["removeGlobalConcurrency", "removeGlobalRateLimit", "removeRateLimitKey", "resume"] {
            self.ask(json!({ "op": op, "queue": queue })).await;
        }
        let active = self.ids(queue, "active");
        for id in active {
            self.ask(json!({ "op": "expire", "key": format!("bull:{queue}:{id}:lock") })).await;
        }
        let worker = self.fleet.claims.workers(queue).into_iter().next();
        for _ in 0..2 {
            self.ask(json!({ "op": "expire", "key": format!("bull:{queue}:stalled-check") })).await;
            self.ask(json!({ "op": "stalledCheck", "worker": worker })).await;
        }
    }

    /// Claims a job and brings it to an end. Says whether there was one.
    async fn work_off(&mut self, queue: &str, at: usize) -> bool {
        // A worker's own limit would end the draining.
        self.limits_end(queue).await;
        let workers = self.fleet.claims.workers(queue);
        let Some(worker) = workers.get(at % workers.len().max(1)) else { return false };
        let (name, token) = (format!("d{}", self.verdict.drained), format!("drain {}", self.verdict.drained));
        let claimed = self.ask(json!({ "op": "claim", "worker": worker, "token": token, "as": name })).await;
        let Some(job) = claimed.done().filter(|job| job.is_object()) else { return false };
        self.verdict.drained += 1;
        if let Some(reason) = job["mustFail"].as_str() {
            self.fail(&name, reason).await;
            return true;
        }
        match self.ask(json!({ "op": "complete", "job": name })).await {
            // Children are pending, and others may have failed.
            Answer::Refused(-4) => {
                let parked = self.ask(json!({ "op": "moveToWaitingChildren", "job": name })).await;
                if matches!(parked, Answer::Refused(-9)) {
                    self.fail(&name, "children failed").await;
                }
            }
            // Children have failed.
            Answer::Refused(-9) => self.fail(&name, "children failed").await,
            Answer::Done(_) => {}
            other => self.verdict.problem = Some(format!("a drained job cannot be completed: {other:?}")),
        }
        true
    }

    async fn fail(&mut self, job: &str, reason: &str) {
        let failed = self.ask(json!({ "op": "fail", "job": job, "message": reason, "unrecoverable": true })).await;
        if !matches!(failed, Answer::Done(_)) {
            self.verdict.problem = Some(format!("a drained job cannot be failed: {failed:?}"));
        }
    }

    async fn limits_end(&mut self, queue: &str) {
        if self.keys.contains_key(&format!("bull:{queue}:limiter")) {
            self.ask(json!({ "op": "expire", "key": format!("bull:{queue}:limiter") })).await;
        }
    }

    /// When nothing can be claimed: time passes, or parents are helped out of their wait. Says whether that helped.
    async fn go_on(&mut self, queues: &BTreeSet<String>, retried: &mut BTreeSet<String>) -> bool {
        let due = queues.iter().filter_map(|queue| self.scene().first_due_ms(queue)).min();
        if let Some(due) = due {
            self.ask(json!({ "op": "clock", "set": due.max(self.now_ms + 1) })).await;
            return true;
        }
        let mut help = Vec::new();
        for queue in queues {
            for parent in self.ids(queue, "waiting-children") {
                help.extend(self.failed_children(queue, &parent, retried).await);
            }
        }
        let can_go_on = !help.is_empty();
        for operation in help {
            self.ask(operation).await;
        }
        can_go_on
    }

    /// A child that failed without a policy keeps its parent waiting until it is tried again; one that fails for ever,
    /// until it is its child no more.
    async fn failed_children(&self, queue: &str, parent: &str, retried: &mut BTreeSet<String>) -> Vec<Value> {
        let pending = ["SMEMBERS".to_owned(), format!("bull:{queue}:{parent}:dependencies")];
        let mut pending = keyspace::command(self.redis, SHARED, &pending).await.ok().texts();
        pending.sort();
        let failed = pending.into_iter().filter_map(|key| {
            let (queue, id) = key.strip_prefix("bull:")?.split_once(':')?;
            if !self.ids(queue, "failed").iter().any(|failed| failed == id) {
                return None;
            }
            let is_first = retried.insert(key.clone());
            Some(if is_first {
                json!({
                    "op": "retryJob", "queue": queue, "id": id, "resetAttemptsMade": true, "resetAttemptsStarted": true,
                })
            } else {
                json!({ "op": "removeChildDependency", "queue": queue, "id": id })
            })
        });
        failed.collect()
    }

    fn scene(&self) -> Scene<'_> {
        Scene::new(&self.keys, self.now_ms)
    }

    fn ids(&self, queue: &str, state: &str) -> Vec<String> {
        self.scene().ids(queue, state).into_iter().map(str::to_owned).collect()
    }

    async fn ask(&mut self, operation: Value) -> Answer {
        match serde_json::from_value::<Operation>(operation.clone()) {
            Ok(operation) => self.step(&operation).await,
            Err(error) => panic!("{operation} is no operation: {error}"),
        }
    }
}
