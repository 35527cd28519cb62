//! The markers that wake sleeping workers.

use super::Moment;
use super::look::{field, list, number, sorted};
use crate::keyspace::Keyspace;
use crate::verdict::{Place, Unequal};

/// Delayed scores keep twelve bits below the due time.
const SLOTS: f64 = 4096.0;

/// We have every marker that BullMQ has, unless it tells of a job that is gone, and one more for something that is there.
pub(super) fn more(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Place::Key(key) = &unequal.place else { return false };
    let Some(queue) = key.strip_suffix(":marker") else { return false };
    let (theirs, own) = (sorted(moment.node.1, key), sorted(moment.ours.1, key));
    let is_true = |entry: &(String, String)| match entry.0.as_str() {
        "0" => theirs.contains(entry) || is_ready(moment.ours.1, queue),
        _ => sorted(moment.before, key).contains(entry) || entry.1.parse().ok() == earliest_due(moment.ours.1, queue),
    };
    let is_stale =
        |(member, score): &(String, String)| member == "1" && score.parse().ok() != earliest_due(moment.node.1, queue);
    let is_kept = |theirs: &(String, String)| own.iter().any(|(other, _)| *other == theirs.0) || is_stale(theirs);
    theirs.iter().all(is_kept) && own.iter().all(is_true)
}

/// Whether a worker that is woken now finds a job.
fn is_ready(keys: &Keyspace, queue: &str) -> bool {
    let key = |suffix: &str| format!("{queue}:{suffix}");
    let max = number(keys, &key("meta"), "concurrency");
    let is_maxed = max > 0 && list(keys, &key("active")).len() as u64 >= max;
    let has_jobs = !list(keys, &key("wait")).is_empty() || !sorted(keys, &key("prioritized")).is_empty();
    has_jobs && !is_maxed && field(keys, &key("meta"), "paused").is_none()
}

/// When the first delayed job is due, epoch milliseconds.
fn earliest_due(keys: &Keyspace, queue: &str) -> Option<f64> {
    let (_, score) = sorted(keys, &format!("{queue}:delayed")).first()?;
    Some(score.parse::<f64>().ok()? / SLOTS)
}
