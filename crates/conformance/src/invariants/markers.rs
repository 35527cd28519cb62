//! What wakes sleeping workers. Nobody needs it while a worker is awake, or while jobs run whose workers look for more
//! when they end.

use super::view::QueueView;
use super::{Circumstances, Findings, Invariant};

/// A delayed job's score holds its time in milliseconds, and its place among those due then.
const PLACES: f64 = 4096.0;

pub(super) fn check(queue: &QueueView<'_>, circumstances: &Circumstances, found: &mut Findings) {
    let runs = |id: &&str| queue.entry(&format!("{id}:lock")).is_some();
    let active = queue.members("active");
    let is_paused = queue.setting("paused").is_some();
    if circumstances.awake.contains(queue.name) || active.iter().any(runs) || is_paused {
        return;
    }
    let markers = queue.sorted("marker");
    let has_base = markers.iter().any(|(member, _)| *member == "0");

    let is_maxed = queue.setting("concurrency").and_then(|max| max.parse().ok()).is_some_and(|max| active.len() >= max);
    // A sleeping worker knows until when a rate is used up, and looks then.
    let is_limited = queue.entry("limiter").is_some();
    let is_ready = !queue.members("wait").is_empty() || !queue.members("prioritized").is_empty();
    if is_ready && !is_maxed && !is_limited {
        found.unless(has_base, Invariant::BaseMarker, queue, "marker", "does not say that something can start");
    }

    let first_due = queue.sorted("delayed").first().map(|(_, score)| (score / PLACES).floor());
    if let Some(due) = first_due.filter(|_| !has_base) {
        let is_known = markers.iter().any(|(member, score)| *member == "1" && *score < due + 1.0);
        found.unless(
            is_known,
            Invariant::DelayMarker,
            queue,
            "marker",
            &format!("does not say that a job is due at {due}"),
        );
    }
}
