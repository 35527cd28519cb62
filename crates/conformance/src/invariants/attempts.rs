//! How often a job was started, and how often that came to an end.

use super::view::{QueueView, number};
use super::{Findings, Invariant};

pub(super) fn check(queue: &QueueView<'_>, found: &mut Findings) {
    for (id, fields) in queue.jobs() {
        let started = number(fields, "ats").unwrap_or_default();
        let made = number(fields, "atm").unwrap_or_default();
        let problem = format!("has ended {made} times, but was started {started} times");
        found.unless(made <= started, Invariant::Attempts, queue, id, &problem);
        if queue.is_in(id, &["completed", "failed"]) {
            found.unless(made >= 1.0, Invariant::Attempts, queue, id, "has finished without an attempt");
        }
        if queue.is_in(id, &["active"]) {
            found.unless(started >= 1.0, Invariant::Attempts, queue, id, "is active, but was never started");
        }
    }
}
