//! Numbers that count.

use super::view::{QueueView, number};
use super::{Circumstances, Findings, Invariant};
use crate::keyspace::Content;

/// What the limiter holds while a queue rests.
const RESTING: u64 = 9_007_199_254_740_991;

pub(super) fn check(queue: &QueueView<'_>, circumstances: &Circumstances, found: &mut Findings) {
    for counter in ["id", "pc"] {
        let is_whole = queue.text(counter).is_none_or(|text| text.parse::<u64>().is_ok());
        found.unless(is_whole, Invariant::Counters, queue, counter, "is no count");
    }
    let last: u64 = queue.text("id").and_then(|text| text.parse().ok()).unwrap_or_default();
    for (id, _) in queue.jobs() {
        let is_known = id.parse::<u64>().is_ok_and(|generated| generated > last);
        found.unless(!is_known, Invariant::Counters, queue, id, &format!("is beyond the counter, which is at {last}"));
    }
    limiter(queue, circumstances, found);
    metrics(queue, found);
}

fn limiter(queue: &QueueView<'_>, circumstances: &Circumstances, found: &mut Findings) {
    let Some(limiter) = queue.entry("limiter") else { return };
    found.unless(limiter.expires, Invariant::Limiter, queue, "limiter", "never ends");
    let used: Option<u64> = queue.text("limiter").and_then(|text| text.parse().ok());
    let is_allowed = used.is_some_and(|used| used <= circumstances.rate_max || used == RESTING);
    found.unless(is_allowed, Invariant::Limiter, queue, "limiter", "has let more jobs start than any limit");
}

fn metrics(queue: &QueueView<'_>, found: &mut Findings) {
    let is_count = |text: &str| text.parse::<u64>().is_ok();
    for (kind, entry) in queue.beginning("metrics:") {
        let holds = match &entry.content {
            Content::Hash(fields) => number(fields, "count").is_some_and(|count| count >= 0.0),
            Content::List(minutes) => minutes.iter().all(|minute| is_count(minute)),
            _ => false,
        };
        found.unless(holds, Invariant::Metrics, queue, &format!("metrics:{kind}"), "counts what cannot be");
    }
}
