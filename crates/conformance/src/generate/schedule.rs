//! Schedulers: made, changed and removed. Their jobs are advanced by whoever claims them.

use serde_json::{Value, json};

use super::Generator;
use super::scene::Scene;

impl Generator {
    pub(super) fn upsert_scheduler(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        // On a paused queue BullMQ does not find the job that the scheduler has.
        if scene.has_setting(&queue, "paused") {
            return None;
        }
        let scheduler = self.chance.one_of(["s1", "s1", "s2"]);
        // BullMQ writes over a job of this very millisecond, and nothing that follows would be legal.
        if scene.has(&queue, &format!("repeat:{scheduler}:{}", scene.now_ms)) {
            return None;
        }
        let mut upsert = json!({
            "op": "upsertScheduler", "queue": queue, "scheduler": scheduler, "repeat": self.repeat(scene.now_ms),
        });
        if self.chance.percent(60) {
            upsert["template"] = self.template();
        }
        Some(upsert)
    }

    pub(super) fn remove_scheduler(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let ids = scene.schedulers(&queue);
        let scheduler = if self.chance.percent(10) { "missing" } else { self.chance.pick(&ids)? };
        Some(json!({ "op": "removeScheduler", "queue": queue, "scheduler": scheduler }))
    }

    fn repeat(&mut self, now_ms: u64) -> Value {
        let mut repeat = if self.chance.percent(60) {
            let mut repeat = json!({ "every": self.chance.one_of([1000, 7000, 60_000, 3_600_000]) });
            if self.chance.percent(15) {
                repeat["offset"] = self.chance.one_of([100, 500]).into();
            }
            repeat
        } else {
            let pattern =
                self.chance.one_of(["* * * * * *", "*/5 * * * * *", "*/10 * * * *", "0 3 * * 1-5", "0 0 1 1 *"]);
            let mut repeat = json!({ "pattern": pattern });
            if self.chance.percent(30) {
                repeat["tz"] = self.chance.one_of(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]).into();
            }
            if self.chance.percent(20) {
                repeat["immediately"] = true.into();
            }
            repeat
        };
        if self.chance.percent(25) {
            repeat["limit"] = self.chance.one_of([1, 2, 3]).into();
        }
        if self.chance.percent(15) && repeat["immediately"].is_null() {
            repeat["startDate"] = (now_ms + self.chance.one_of([0, 2500, 120_000])).into();
        }
        // A start after the end is refused by us and never reached with BullMQ.
        if self.chance.percent(15) && repeat["startDate"].is_null() {
            repeat["endDate"] = (now_ms + self.chance.one_of([3000, 200_000, 86_400_000])).into();
        }
        repeat
    }

    fn template(&mut self) -> Value {
        let mut template = json!({ "name": "tick" });
        if self.chance.percent(50) {
            template["data"] = json!({ "n": self.chance.below(100) });
        }
        if self.chance.percent(60) {
            let mut opts = json!({ "attempts": self.chance.one_of([1, 2]) });
            if self.chance.percent(30) {
                opts["priority"] = self.chance.one_of([1, 5]).into();
            }
            if self.chance.percent(40) {
                opts["removeOnComplete"] = self.keep();
            }
            template["opts"] = opts;
        }
        template
    }
}
