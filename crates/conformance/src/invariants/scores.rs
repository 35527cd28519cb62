//! Under what jobs are found.

use super::view::{QueueView, number};
use super::{Circumstances, Findings, Invariant};

/// A prioritized job's score holds its priority, and its place among those with the same.
const PLACES_OF_PRIORITY: f64 = 4_294_967_296.0;
/// A delayed job's score holds its time in milliseconds, and its place among those due then.
const PLACES_OF_TIME: f64 = 4096.0;

pub(super) fn check(queue: &QueueView<'_>, circumstances: &Circumstances, found: &mut Findings) {
    for (id, score) in queue.sorted("prioritized") {
        let Some(priority) = queue.hash(id).and_then(|fields| number(fields, "priority")) else { continue };
        let stands = (score / PLACES_OF_PRIORITY).floor();
        let holds = priority > 0.0 && stands.total_cmp(&priority).is_eq();
        found.unless(
            holds,
            Invariant::PriorityScore,
            queue,
            id,
            &format!("of priority {priority} stands under {stands}"),
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch are far below 2^53")]
    let now = circumstances.now_ms as f64;
    for (id, score) in queue.sorted("delayed") {
        let Some(fields) = queue.hash(id) else { continue };
        let due = (score / PLACES_OF_TIME).floor();
        let (Some(delay), Some(created)) = (number(fields, "delay"), number(fields, "timestamp")) else { continue };
        // A delay counts from when the job was made, or from a later moment.
        let holds = (created + delay..=now.max(created) + delay).contains(&due);
        found.unless(holds, Invariant::DelayScore, queue, id, &format!("delayed by {delay} is due at {due}"));
    }
}
