//! Operators: limits, pauses, and changes to what is in a queue.

use serde_json::{Value, json};

use super::Generator;
use super::options::{LONG_MS, SPANS};
use super::scene::Scene;

impl Generator {
    pub(super) fn pause(&mut self, _: &Scene<'_>) -> Option<Value> {
        Some(json!({ "op": "pause", "queue": self.queue() }))
    }

    pub(super) fn resume(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let is_meant = scene.has_setting(&queue, "paused") || self.chance.percent(5);
        is_meant.then(|| json!({ "op": "resume", "queue": queue }))
    }

    pub(super) fn set_global_concurrency(&mut self, _: &Scene<'_>) -> Option<Value> {
        let concurrency = self.chance.one_of([1, 1, 2, 3]);
        Some(json!({ "op": "setGlobalConcurrency", "queue": self.queue(), "concurrency": concurrency }))
    }

    pub(super) fn remove_global_concurrency(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        scene.has_setting(&queue, "concurrency").then(|| json!({ "op": "removeGlobalConcurrency", "queue": queue }))
    }

    pub(super) fn set_global_rate_limit(&mut self, _: &Scene<'_>) -> Option<Value> {
        let max = self.chance.one_of([1, 2, 5]);
        Some(json!({ "op": "setGlobalRateLimit", "queue": self.queue(), "max": max, "duration": LONG_MS }))
    }

    pub(super) fn remove_global_rate_limit(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let is_meant = scene.has_setting(&queue, "max") && !scene.is_resting(&queue);
        is_meant.then(|| json!({ "op": "removeGlobalRateLimit", "queue": queue }))
    }

    /// Only of a queue with a limit: workers of BullMQ without one do not rest.
    pub(super) fn rate_limit(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        scene.has_setting(&queue, "max").then(|| json!({ "op": "rateLimit", "queue": queue, "ms": LONG_MS }))
    }

    /// BullMQ drains the wrong ids when a scheduler's job is in line.
    pub(super) fn drain(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        if scene.ids(&queue, "wait").iter().any(|id| id.starts_with("repeat:")) {
            return None;
        }
        Some(json!({ "op": "drain", "queue": queue, "delayed": self.chance.percent(50) }))
    }

    pub(super) fn clean(&mut self, _: &Scene<'_>) -> Option<Value> {
        let states = ["completed", "failed", "wait", "active", "delayed", "prioritized"];
        Some(json!({
            "op": "clean", "queue": self.queue(), "grace": self.chance.one_of([0, 0, 1000, 60_000]),
            "limit": self.chance.one_of([0, 0, 1, 2]), "state": self.chance.one_of(states),
        }))
    }

    /// Seldom, and not where BullMQ leaves parents and limits behind.
    pub(super) fn obliterate(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let leaves_something = scene.has(&queue, "limiter") || !scene.ids(&queue, "waiting-children").is_empty();
        if leaves_something || self.chance.percent(70) {
            return None;
        }
        Some(json!({ "op": "obliterate", "queue": queue, "force": self.chance.percent(50) }))
    }

    pub(super) fn remove_orphans(&mut self, _: &Scene<'_>) -> Option<Value> {
        Some(json!({ "op": "removeOrphans", "queue": self.queue() }))
    }

    pub(super) fn retry_jobs(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let mut retry = json!({ "op": "retryJobs", "queue": self.queue() });
        if self.chance.percent(40) {
            retry["state"] = self.chance.one_of(["failed", "completed"]).into();
        }
        if self.chance.percent(30) {
            retry["timestamp"] = (scene.now_ms - 1000).into();
        }
        Some(retry)
    }

    pub(super) fn retry_job(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let state = self.chance.one_of(["failed", "failed", "completed"]);
        let id = self.target(scene, &queue, &[state])?;
        let mut retry = json!({ "op": "retryJob", "queue": queue, "id": id, "state": state });
        if self.chance.percent(40) {
            retry["resetAttemptsMade"] = true.into();
            // A job that has ended more often than it was started is nobody's wish.
            retry["resetAttemptsStarted"] = self.chance.percent(50).into();
        }
        Some(retry)
    }

    pub(super) fn promote_jobs(&mut self, _: &Scene<'_>) -> Option<Value> {
        Some(json!({ "op": "promoteJobs", "queue": self.queue() }))
    }

    pub(super) fn promote(&mut self, scene: &Scene<'_>) -> Option<Value> {
        self.on_job(scene, "promote", &["delayed"])
    }

    pub(super) fn change_delay(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let mut change = self.on_job(scene, "changeDelay", &["delayed"])?;
        change["delay"] = self.chance.one_of(SPANS).into();
        Some(change)
    }

    pub(super) fn change_priority(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let mut change = self.on_job(scene, "changePriority", &["wait", "prioritized", "delayed"])?;
        change["priority"] = self.chance.one_of([0, 1, 5]).into();
        change["lifo"] = self.chance.percent(30).into();
        Some(change)
    }

    pub(super) fn remove(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let states = ["wait", "prioritized", "delayed", "waiting-children", "completed", "failed", "active"];
        let mut remove = self.on_job(scene, "remove", &states)?;
        remove["keepChildren"] = self.chance.percent(40).into();
        Some(remove)
    }

    pub(super) fn remove_unprocessed_children(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        // BullMQ finds no children below a job that is not there; we say that it is not.
        let id = self.job_in(scene, &queue, &["waiting-children", "active", "wait"])?;
        Some(json!({ "op": "removeUnprocessedChildren", "queue": queue, "id": id }))
    }

    pub(super) fn remove_child_dependency(&mut self, scene: &Scene<'_>) -> Option<Value> {
        self.on_job(scene, "removeChildDependency", &["wait", "delayed", "prioritized", "active", "waiting-children"])
    }

    pub(super) fn remove_deduplication_key(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let ids = scene.deduplications(&queue, false);
        let deduplication = if self.chance.percent(10) { "missing" } else { self.chance.pick(&ids)? };
        Some(json!({ "op": "removeDeduplicationKey", "queue": queue, "deduplication": deduplication }))
    }

    pub(super) fn publish_event(&mut self, _: &Scene<'_>) -> Option<Value> {
        Some(json!({ "op": "publishEvent", "queue": self.queue(), "event": "own", "fields": { "one": "1" } }))
    }

    fn on_job(&mut self, scene: &Scene<'_>, op: &str, states: &[&str]) -> Option<Value> {
        let queue = self.queue();
        let id = self.target(scene, &queue, states)?;
        Some(json!({ "op": op, "queue": queue, "id": id }))
    }
}
