//! What BullMQ leaves behind and we do not, or the other way round.

use super::Moment;
use super::look::{field, list, sorted};
use crate::keyspace::{Content, Keyspace};
use crate::operation::Operation;
use crate::verdict::{Place, Unequal};

pub(super) fn of_obliterating(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Operation::Obliterate(all) = moment.operation else { return false };
    let prefix = format!("bull:{}:", all.queue);
    matches!(&unequal.place, Place::Key(key) if key.starts_with(&prefix) && !moment.ours.1.contains_key(key))
}

pub(super) fn that_are_no_orphans(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Operation::RemoveOrphans(_) = moment.operation else { return false };
    let is_spared = |key: &String| {
        let is_ours = moment.ours.1.get(key) == moment.before.get(key);
        is_ours && !moment.node.1.contains_key(key) && !looks_like_a_job(moment.before, key)
    };
    match &unequal.place {
        Place::Key(key) => is_spared(key),
        Place::Answer => moment.before.keys().any(is_spared),
    }
}

/// The lock of a job that both have removed.
pub(super) fn of_locks(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Place::Key(key) = &unequal.place else { return false };
    let Some(job) = key.strip_suffix(":lock") else { return false };
    let is_removed = moment.before.contains_key(job) && !moment.node.1.contains_key(job);
    is_removed && moment.node.1.get(key) == moment.before.get(key) && !moment.ours.1.contains_key(key)
}

/// A deduplication id that only BullMQ has deleted, whose owner both still have.
pub(super) fn of_other_owners(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let (Operation::Clean(_), Place::Key(key)) = (moment.operation, &unequal.place) else { return false };
    let Some((queue, _)) = key.split_once(":de:") else { return false };
    let owner = match moment.ours.1.get(key).map(|entry| &entry.content) {
        Some(Content::Text(owner)) => format!("{queue}:{owner}"),
        _ => return false,
    };
    moment.ours.1.get(key) == moment.before.get(key) && moment.node.1.contains_key(&owner)
}

pub(super) fn of_vanished_parents(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Operation::Fail(_) = moment.operation else { return false };
    let Place::Key(key) = &unequal.place else { return false };
    let parent = key.strip_suffix(":unsuccessful");
    parent.is_some_and(|parent| !moment.before.contains_key(parent)) && !moment.ours.1.contains_key(key)
}

/// The job that was pending before, which only BullMQ still has; and the offset that follows from not finding it.
pub(super) fn of_paused_schedulers(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Operation::UpsertScheduler(upsert) = moment.operation else { return false };
    let queue = format!("bull:{}", upsert.queue);
    let schedulers = sorted(moment.before, &format!("{queue}:repeat"));
    let Some((_, slot)) = schedulers.iter().find(|(id, _)| *id == upsert.scheduler) else { return false };
    let pending = format!("repeat:{}:{slot}", upsert.scheduler);
    let wait = format!("{queue}:wait");
    let is_doubled = field(moment.before, &format!("{queue}:meta"), "paused").is_some()
        && list(moment.before, &wait).contains(&pending)
        && list(moment.node.1, &wait).contains(&pending);
    let Place::Key(key) = &unequal.place else { return false };
    is_doubled
        && if *key == wait {
            list(moment.node.1, &wait).iter().filter(|id| **id != pending).eq(list(moment.ours.1, &wait))
        } else if *key == format!("{queue}:{pending}") {
            !moment.ours.1.contains_key(key)
        } else {
            *key == format!("{queue}:repeat:{}", upsert.scheduler)
                && without_offset(moment.node.1, key) == without_offset(moment.ours.1, key)
        }
}

fn without_offset(keys: &Keyspace, key: &str) -> Option<Vec<(String, String)>> {
    let Content::Hash(fields) = &keys.get(key)?.content else { return None };
    Some(fields.iter().filter(|(name, _)| *name != "offset").map(|(a, b)| (a.clone(), b.clone())).collect())
}

fn looks_like_a_job(keys: &Keyspace, key: &str) -> bool {
    ["name", "data", "opts", "timestamp"].into_iter().all(|name| field(keys, key, name).is_some())
}
