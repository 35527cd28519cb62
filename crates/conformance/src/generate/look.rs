//! Readers: what they are told is compared like everything else.

use serde_json::{Value, json};

use super::Generator;
use super::scene::{STATES, Scene};

impl Generator {
    pub(super) fn look_at_job(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let id = self.target(scene, &queue, &STATES)?;
        Some(match self.chance.below(3) {
            0 => json!({ "op": "getState", "queue": queue, "id": id }),
            1 => json!({ "op": "getLogs", "queue": queue, "id": id, "end": 10 }),
            _ => json!({ "op": "getJob", "queue": queue, "id": id }),
        })
    }

    pub(super) fn look_at_queue(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        let start = self.chance.one_of([0, 0, 1]);
        let is_ascending = self.chance.percent(50);
        Some(match self.chance.below(12) {
            0 => json!({ "op": "getCounts", "queue": queue }),
            1 => json!({ "op": "getCountsPerPriority", "queue": queue, "priorities": [0, 1, 2, 10] }),
            2 => json!({ "op": "isPaused", "queue": queue }),
            3 => json!({ "op": "isMaxed", "queue": queue }),
            4 => json!({ "op": "getGlobalConcurrency", "queue": queue }),
            5 => json!({ "op": "getGlobalRateLimit", "queue": queue }),
            6 => json!({ "op": "getRateLimitTtl", "queue": queue }),
            7 => json!({ "op": "getMeta", "queue": queue }),
            8 => {
                json!({ "op": "getMetrics", "queue": queue, "kind": self.chance.one_of(["completed", "failed"]), "end": 5 })
            }
            9 => json!({ "op": "getSchedulers", "queue": queue, "start": 0, "end": 5, "asc": is_ascending }),
            10 => {
                let ids = scene.deduplications(&queue, false);
                json!({ "op": "getDeduplicationJobId", "queue": queue, "deduplication": self.chance.pick(&ids)? })
            }
            _ => {
                let state = self.chance.one_of(["waiting", "active", "prioritized", "delayed", "completed", "failed"]);
                json!({ "op": "getJobs", "queue": queue, "types": [state], "start": start, "end": 5, "asc": is_ascending })
            }
        })
    }

    pub(super) fn look_at_flow(&mut self, scene: &Scene<'_>) -> Option<Value> {
        let queue = self.queue();
        // BullMQ asks a job for these, so there must be one.
        let id = self.job_in(scene, &queue, &["waiting-children", "active", "completed"])?;
        let op = self.chance.one_of([
            "getDependencies",
            "getDependenciesCount",
            "getChildrenValues",
            "getIgnoredFailures",
            "getFlow",
        ]);
        Some(json!({ "op": op, "queue": queue, "id": id }))
    }
}
