//! What happened on the way to the same end.

use super::Moment;
use super::look::{field, members, number, of_entry, stream};
use crate::keyspace::{Content, Keyspace};
use crate::operation::Operation;
use crate::verdict::{Place, Unequal};

/// A parent that its last child's removal released, and that was removed in the same step: with us it was for a moment
/// where its priority put it, which events and the counter of priorities still tell.
pub(super) fn removed_parents(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Place::Key(key) = &unequal.place else { return false };
    let Some((queue, suffix)) = key.rsplit_once(':') else { return false };
    let had_place = |id: &String| {
        let job = format!("{queue}:{id}");
        number(moment.before, &job, "priority") > 0
            && !moment.node.1.contains_key(&job)
            && !moment.ours.1.contains_key(&job)
    };
    let waiting = members(moment.before, &format!("{queue}:waiting-children"));
    let parents: Vec<String> = waiting.into_iter().filter(had_place).collect();
    let removes = matches!(
        moment.operation,
        Operation::Remove(_) | Operation::RemoveUnprocessedChildren(_) | Operation::Drain(_) | Operation::Clean(_)
    );
    removes
        && !parents.is_empty()
        && match suffix {
            "events" => without(moment.node.1, key, &parents) == without(moment.ours.1, key, &parents),
            "pc" => true,
            _ => false,
        }
}

/// Settings that say how many events are kept, which we note whenever they are missing.
pub(super) fn kept_events(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Place::Key(key) = &unequal.place else { return false };
    let settings = |keys: &Keyspace| match keys.get(key).map(|entry| &entry.content) {
        Some(Content::Hash(fields)) => fields
            .iter()
            .filter(|(name, _)| *name != "opts.maxLenEvents")
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect(),
        _ => Vec::new(),
    };
    key.ends_with(":meta")
        && settings(moment.node.1) == settings(moment.ours.1)
        && field(moment.before, key, "opts.maxLenEvents").is_none()
        && field(moment.ours.1, key, "opts.maxLenEvents").is_some()
}

/// The same events, of which those of parents that were released stand further behind with us.
pub(super) fn trimmed_last(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let (Operation::Complete(_) | Operation::Fail(_), Place::Key(key)) = (moment.operation, &unequal.place) else {
        return false;
    };
    let is_released = |entry: &&Vec<(String, String)>| of_entry(entry, "prev") == Some("waiting-children");
    let parts = |keys: &Keyspace| -> (Vec<_>, Vec<_>) {
        stream(keys, key).iter().cloned().partition(|entry| is_released(&entry))
    };
    key.ends_with(":events") && parts(moment.node.1) == parts(moment.ours.1)
}

/// A queue's events without those that tell where these jobs went.
fn without(keys: &Keyspace, key: &str, ids: &[String]) -> Vec<Vec<(String, String)>> {
    let is_other = |entry: &&Vec<(String, String)>| {
        let is_theirs = of_entry(entry, "jobId").is_some_and(|id| ids.iter().any(|other| other == id));
        !(is_theirs && matches!(of_entry(entry, "event"), Some("waiting" | "removed")))
    };
    stream(keys, key).iter().filter(is_other).cloned().collect()
}
