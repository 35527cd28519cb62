//! Workers: claims, outcomes, moves of a job by itself, and workers that die.

use serde_json::{Value, json};

use super::options::{LONG_MS, SPANS};
use super::scene::{Scene, key};
use super::{Generator, Held, Seat, is_given};

/// States a job may be in that somebody once held.
const LEFT: [&str; 3] = ["completed", "failed", "delayed"];

impl Generator {
    /// Two workers for each queue: one plain, one with options. No lock of theirs ends by itself.
    pub(super) fn plan_workers(&mut self) {
        for queue in self.queues.clone() {
            for is_plain in [true, false] {
                let worker = self.new_name('w');
                let options = self.worker_options(is_plain);
                let declared = json!({ "op": "worker", "worker": worker, "queue": queue, "options": options });
                self.planned.push_back(declared);
                self.workers.push(Seat { worker, queue: queue.clone() });
            }
        }
    }

    /// Claims where there is something to claim, as a rule.
    pub(super) fn claim(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let seat = self.chance.pick(&self.workers)?.clone();
        let is_idle = ["wait", "prioritized"].iter().all(|state| scene.ids(&seat.queue, state).is_empty());
        if is_idle && scene.first_due_ms(&seat.queue).is_none_or(|due| due > scene.now_ms) && self.chance.percent(85) {
            return None;
        }
        Some(json!({ "op": "claim", "worker": seat.worker, "token": self.new_name('t'), "as": self.new_name('h') }))
    }

    pub(super) fn complete(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene)?;
        let mut complete = json!({ "op": "complete", "job": held.name });
        if self.chance.percent(60) {
            complete["result"] = self.data();
        }
        Some(self.with_next(complete))
    }

    pub(super) fn fail(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene)?;
        let mut fail = json!({ "op": "fail", "job": held.name, "message": self.chance.one_of(["no", "it broke: ü"]) });
        if self.chance.percent(30) {
            fail["stack"] = json!(["at one", "at two"]);
        }
        if self.chance.percent(15) {
            fail["unrecoverable"] = true.into();
        }
        // A parent that is let go has another place in line with BullMQ, so that it would be another job's turn.
        if scene.has_parent(&held.queue, &held.id) {
            return Some(fail);
        }
        Some(self.with_next(fail))
    }

    /// What a worker does with a job that it may not run.
    pub(super) fn plan_certain_failure(&mut self, held: &str, reason: &str) {
        if self.chance.percent(85) {
            self.planned.push_back(json!({ "op": "fail", "job": held, "message": reason, "unrecoverable": true }));
        }
    }

    pub(super) fn move_to_delayed(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene)?;
        if scene.has_option(&held.queue, &held.id, "lifo") {
            return None;
        }
        Some(json!({ "op": "moveToDelayed", "job": held.name, "delay": self.chance.one_of(SPANS) }))
    }

    pub(super) fn move_to_wait(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene)?;
        Some(json!({ "op": "moveToWait", "job": held.name }))
    }

    pub(super) fn move_to_waiting_children(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene)?;
        Some(json!({ "op": "moveToWaitingChildren", "job": held.name }))
    }

    pub(super) fn extend_lock(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = if self.chance.percent(20) { self.held_once()? } else { self.held_now(scene)? };
        Some(json!({ "op": "extendLock", "job": held.name, "duration": LONG_MS }))
    }

    /// The late word of a worker that has lost its job, or told its end before.
    pub(super) fn settle_not_held(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_once()?;
        if scene.is_held(&held.queue, &held.id, &held.token) {
            return None;
        }
        Some(match self.chance.below(5) {
            0 => json!({ "op": "fail", "job": held.name, "message": "late" }),
            1 => json!({ "op": "moveToDelayed", "job": held.name, "delay": 1000 }),
            2 => json!({ "op": "moveToWaitingChildren", "job": held.name }),
            _ => json!({ "op": "complete", "job": held.name }),
        })
    }

    /// Nobody renews a lock any more; often the others find out.
    pub(super) fn worker_dies(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let held = self.held_now(scene)?;
        if self.chance.percent(60) && has_one_order(scene, &held.queue) {
            let worker = self.worker_of(&held.queue)?;
            for _ in 0..2 {
                self.planned.push_back(json!({ "op": "expire", "key": key(&held.queue, "stalled-check") }));
                self.planned.push_back(json!({ "op": "stalledCheck", "worker": worker }));
            }
        }
        let id = self.written(&held.queue, &held.id)?;
        Some(json!({ "op": "expire", "key": key(&held.queue, &format!("{id}:lock")) }))
    }

    pub(super) fn stalled_check(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        if !has_one_order(scene, &queue) {
            return None;
        }
        let check = json!({ "op": "stalledCheck", "worker": self.worker_of(&queue)? });
        if !scene.has(&queue, "stalled-check") || self.chance.percent(10) {
            return Some(check);
        }
        self.planned.push_back(check);
        Some(json!({ "op": "expire", "key": key(&queue, "stalled-check") }))
    }

    pub(super) fn update_progress(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let (queue, id) = self.running_or_any(scene)?;
        let progress = match self.chance.below(3) {
            0 => json!(50),
            1 => json!({ "step": 2 }),
            _ => json!("half"),
        };
        Some(json!({ "op": "updateProgress", "queue": queue, "id": id, "progress": progress }))
    }

    pub(super) fn update_data(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let (queue, id) = self.running_or_any(scene)?;
        Some(json!({ "op": "updateData", "queue": queue, "id": id, "data": self.data() }))
    }

    pub(super) fn log(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let (queue, id) = self.running_or_any(scene)?;
        let mut log = json!({ "op": "log", "queue": queue, "id": id, "line": "a line" });
        if self.chance.percent(40) {
            log["keepLogs"] = self.chance.one_of([1, 2]).into();
        }
        Some(log)
    }

    pub(super) fn clear_logs(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let (queue, id) = self.running_or_any(scene)?;
        let mut clear = json!({ "op": "clearLogs", "queue": queue, "id": id });
        if self.chance.percent(50) {
            clear["keep"] = 1.into();
        }
        Some(clear)
    }

    /// A job that is held at this moment.
    pub(super) fn held_now(&mut self, scene: &Scene<'_>) -> Option<Held> {
        let is_live = |held: &&Held| held.is_last && scene.is_held(&held.queue, &held.id, &held.token);
        let live: Vec<Held> = self.held.iter().filter(is_live).cloned().collect();
        self.chance.pick(&live).cloned()
    }

    fn held_once(&mut self) -> Option<Held> {
        self.chance.pick(&self.held).cloned()
    }

    fn worker_of(&mut self, queue: &str) -> Option<String> {
        let seats: Vec<String> =
            self.workers.iter().filter(|seat| seat.queue == queue).map(|seat| seat.worker.clone()).collect();
        self.chance.pick(&seats).cloned()
    }

    fn running_or_any(&mut self, scene: &Scene<'_>) -> Option<(String, String)> {
        let queue = self.queue();
        let states: &[&str] = if self.chance.percent(80) { &["active"] } else { &LEFT };
        let id = self.target(scene, &queue, states)?;
        Some((queue, id))
    }

    fn with_next(&mut self, mut settle: Value) -> Value {
        if self.chance.percent(40) {
            settle["next"] = json!({ "as": self.new_name('h') });
        }
        settle
    }

    fn worker_options(&mut self, is_plain: bool) -> Value {
        let mut options = json!({ "lockDuration": LONG_MS, "stalledInterval": LONG_MS });
        if is_plain {
            return options;
        }
        options["name"] = "named".into();
        if self.chance.percent(30) {
            options["maxStalledCount"] = self.chance.one_of([0, 2]).into();
        }
        // BullMQ 5 counts these otherwise.
        if self.version >= 6 && self.chance.percent(25) {
            options["maxStartedAttempts"] = self.chance.one_of([1, 2, 3]).into();
        }
        if self.chance.percent(30) {
            options["limiter"] = json!({ "max": self.chance.one_of([1, 2, 5]), "duration": LONG_MS });
        }
        if self.chance.percent(50) {
            options["metrics"] = json!({ "maxDataPoints": self.chance.one_of([2, 100]) });
        }
        for name in ["removeOnComplete", "removeOnFail"] {
            if self.chance.percent(25) {
                // A worker's policy is an object, and nothing else.
                options[name] = self.chance.one_of([(0, 0), (2, 0), (0, 60)]).into_policy();
            }
        }
        options
    }
}

/// Whether jobs that stall together go back in the same order for both: the server orders a set by what ids are, and
/// generated ones differ.
fn has_one_order(scene: &Scene<'_>, queue: &str) -> bool {
    let active = scene.ids(queue, "active");
    active.len() < 2 || active.iter().all(|id| is_given(id))
}

trait IntoPolicy {
    fn into_policy(self) -> Value;
}

impl IntoPolicy for (u64, u64) {
    /// At most so many, or none older than so many seconds.
    fn into_policy(self) -> Value {
        match self {
            (count, 0) => json!({ "count": count }),
            (_, age) => json!({ "age": age }),
        }
    }
}
