//! What happens by itself: time passes, and keys come to their end.

use serde_json::{Value, json};

use super::Generator;
use super::options::SPANS;
use super::scene::{Scene, key};

impl Generator {
    /// A step of time: of any length, or to the moment when a job is due, or a little before.
    pub(super) fn clock(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let due = scene.first_due_ms(&queue).filter(|due| *due > scene.now_ms + 1);
        Some(match due {
            Some(due) if self.chance.percent(50) => {
                json!({ "op": "clock", "set": due - u64::from(self.chance.percent(15)) })
            }
            _ => json!({ "op": "clock", "advance": self.chance.one_of(SPANS) }),
        })
    }

    pub(super) fn rate_limit_ends(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        if !scene.has(&queue, "limiter") {
            return None;
        }
        Some(if self.chance.percent(30) {
            json!({ "op": "removeRateLimitKey", "queue": queue })
        } else {
            json!({ "op": "expire", "key": key(&queue, "limiter") })
        })
    }

    pub(super) fn deduplication_ends(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let ids = scene.deduplications(&queue, true);
        let id = self.chance.pick(&ids)?;
        Some(json!({ "op": "expire", "key": key(&queue, &format!("de:{id}")) }))
    }
}
