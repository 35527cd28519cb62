//! What is drawn how often. `docs/conformance.md` shows this table to its readers.

use serde_json::Value;

use super::Generator;
use super::chance::Chance;
use super::scene::Scene;

/// A kind of operation, or of short plans that begin with one.
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// How often it is drawn, against the sum of all; a seed makes some heavier and leaves some out.
    pub weight: usize,
    /// Whether BullMQ 5 does the same.
    pub in_5: bool,
    /// Makes one that fits the scene; none when nothing fits.
    pub(super) make: fn(&mut Generator, &Scene<'_>) -> Option<Value>,
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    kind("add", 14, true, Generator::add),
    kind("addBulk", 3, true, Generator::add_bulk),
    kind("addFlow", 6, true, Generator::add_flow),
    kind("addFlows", 1, true, Generator::add_flows),
    kind("add a child to a running job", 2, true, Generator::add_child),
    kind("upsertScheduler", 3, true, Generator::upsert_scheduler),
    kind("removeScheduler", 1, true, Generator::remove_scheduler),
    kind("claim", 20, true, Generator::claim),
    kind("complete", 12, true, Generator::complete),
    kind("fail", 9, true, Generator::fail),
    kind("moveToDelayed", 2, true, Generator::move_to_delayed),
    kind("moveToWait", 2, true, Generator::move_to_wait),
    kind("moveToWaitingChildren", 2, true, Generator::move_to_waiting_children),
    kind("extendLock", 1, true, Generator::extend_lock),
    kind("settle what is not held", 2, true, Generator::settle_not_held),
    kind("a worker dies", 2, true, Generator::worker_dies),
    kind("stalledCheck", 2, true, Generator::stalled_check),
    kind("updateProgress", 1, true, Generator::update_progress),
    kind("updateData", 1, true, Generator::update_data),
    kind("log", 1, true, Generator::log),
    kind("clearLogs", 1, true, Generator::clear_logs),
    kind("pause", 1, false, Generator::pause),
    kind("resume", 3, false, Generator::resume),
    kind("setGlobalConcurrency", 1, true, Generator::set_global_concurrency),
    kind("removeGlobalConcurrency", 1, true, Generator::remove_global_concurrency),
    kind("setGlobalRateLimit", 1, true, Generator::set_global_rate_limit),
    kind("removeGlobalRateLimit", 1, true, Generator::remove_global_rate_limit),
    kind("rateLimit", 1, true, Generator::rate_limit),
    kind("a rate limit ends", 3, true, Generator::rate_limit_ends),
    kind("drain", 1, true, Generator::drain),
    kind("clean", 2, true, Generator::clean),
    kind("obliterate", 1, false, Generator::obliterate),
    kind("removeOrphans", 1, true, Generator::remove_orphans),
    kind("retryJobs", 1, false, Generator::retry_jobs),
    kind("retryJob", 3, false, Generator::retry_job),
    kind("promoteJobs", 1, true, Generator::promote_jobs),
    kind("promote", 2, true, Generator::promote),
    kind("changeDelay", 2, true, Generator::change_delay),
    kind("changePriority", 2, true, Generator::change_priority),
    kind("remove", 3, true, Generator::remove),
    kind("removeUnprocessedChildren", 1, true, Generator::remove_unprocessed_children),
    kind("removeChildDependency", 1, true, Generator::remove_child_dependency),
    kind("removeDeduplicationKey", 1, true, Generator::remove_deduplication_key),
    kind("a deduplication ends", 1, true, Generator::deduplication_ends),
    kind("publishEvent", 1, true, Generator::publish_event),
    kind("look at a job", 2, true, Generator::look_at_job),
    kind("look at a queue", 2, true, Generator::look_at_queue),
    kind("look at a flow", 1, true, Generator::look_at_flow),
    kind("clock", 7, true, Generator::clock),
];

const fn kind(
    name: &'static str,
    weight: usize,
    in_5: bool,
    make: fn(&mut Generator, &Scene<'_>) -> Option<Value>,
) -> Kind {
    Kind { name, weight, in_5, make }
}

/// What every sequence needs to get anywhere.
const ALWAYS: [&str; 4] = ["add", "claim", "complete", "clock"];

impl Kind {
    /// How heavy it is in one sequence: what is left out makes room for what would else seldom meet.
    pub(super) fn drawn(&self, chance: &mut Chance, version: u8) -> usize {
        let factor = [0, 1, 4][chance.weighted([20, 65, 15].into_iter())];
        match (version < 6 && !self.in_5, ALWAYS.contains(&self.name)) {
            (true, _) => 0,
            (_, true) => self.weight * factor.max(1),
            _ => self.weight * factor,
        }
    }
}
