//! Who stands where in line.

use std::collections::BTreeSet;

use super::Moment;
use super::look::{field, list, members, number, sorted};
use crate::keyspace::Keyspace;
use crate::operation::Operation;
use crate::verdict::{Place, Unequal};

/// Ids in line or at work without a hash; a difference may show in their keys, in the lists and in the events.
pub(super) fn ghosts(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let suffix = match moment.operation {
        Operation::Claim(_) => ":wait",
        Operation::StalledCheck(_) => ":active",
        _ => return false,
    };
    let queues = moment.before.keys().filter_map(|key| key.strip_suffix(suffix));
    let ghosts: Vec<(&str, String)> = queues
        .flat_map(|queue| {
            let ids = list(moment.before, &format!("{queue}{suffix}")).iter();
            ids.map(move |id| (queue, format!("{queue}:{id}")))
        })
        .filter(|(_, job)| !moment.before.contains_key(job))
        .collect();
    let is_touched = |key: &str, (queue, job): &(&str, String)| {
        let shared = ["wait", "active", "events", "marker"];
        key == job || key == format!("{job}:lock") || shared.iter().any(|suffix| key == format!("{queue}:{suffix}"))
    };
    match &unequal.place {
        Place::Answer => !ghosts.is_empty(),
        Place::Key(key) => ghosts.iter().any(|ghost| is_touched(key, ghost)),
    }
}

/// The same jobs in line for both, and with us each that came with this step where its priority puts it.
pub(super) fn places(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Place::Key(key) = &unequal.place else { return false };
    let Some((queue, suffix)) = key.rsplit_once(':') else { return false };
    let before = Line::of(moment.before, queue);
    let (theirs, own) = (Line::of(moment.node.1, queue), Line::of(moment.ours.1, queue));
    let is_placed = |id: &String| {
        let priority = number(moment.ours.1, &format!("{queue}:{id}"), "priority");
        before.all().contains(id) || own.by_priority.contains(id) == (priority > 0)
    };
    let is_reordered = |id: &String| {
        let opts = field(moment.ours.1, &format!("{queue}:{id}"), "opts").unwrap_or_default();
        own.by_priority.contains(id) != theirs.by_priority.contains(id) || opts.contains("\"lifo\":true")
    };
    forgets_places(moment.operation)
        && matches!(suffix, "wait" | "prioritized" | "pc")
        && theirs.all() == own.all()
        && own.all().into_iter().all(is_placed)
        && (own.all().into_iter().any(is_reordered) || suffix == "pc" && has_passed(moment, queue))
}

/// Whether a parent with a priority was released and claimed in this step: only the counter still tells its place.
fn has_passed(moment: &Moment<'_>, queue: &str) -> bool {
    let active = list(moment.ours.1, &format!("{queue}:active"));
    let waited = members(moment.before, &format!("{queue}:waiting-children"));
    waited.iter().any(|id| active.contains(id) && number(moment.ours.1, &format!("{queue}:{id}"), "priority") > 0)
}

fn forgets_places(operation: &Operation) -> bool {
    removes(operation)
        || matches!(
            operation,
            Operation::Claim(_)
                // These remove older jobs, too.
                | Operation::Complete(_)
                | Operation::Fail(_)
                | Operation::StalledCheck(_)
                | Operation::Promote(_)
                | Operation::PromoteJobs(_)
                | Operation::RetryJobs(_)
        )
}

fn removes(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Remove(_)
            | Operation::RemoveUnprocessedChildren(_)
            | Operation::RemoveChildDependency(_)
            | Operation::Drain(_)
            | Operation::Clean(_)
            | Operation::Obliterate(_)
    )
}

/// With us the jobs of schedulers stay in line, with BullMQ as many others do.
pub(super) fn drained_iterations(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let (Operation::Drain(_), Place::Key(key)) = (moment.operation, &unequal.place) else { return false };
    let Some(queue) = key.strip_suffix(":wait") else { return false };
    let pending: Vec<String> = sorted(moment.before, &format!("{queue}:repeat"))
        .iter()
        .map(|(id, slot)| format!("repeat:{id}:{slot}"))
        .collect();
    let (node, ours) = (list(moment.node.1, key), list(moment.ours.1, key));
    list(moment.before, key).iter().filter(|id| pending.contains(id)).eq(ours) && node.len() == ours.len()
}

/// The jobs that can start as soon as somebody claims.
struct Line {
    wait: Vec<String>,
    by_priority: Vec<String>,
}

impl Line {
    fn of(keys: &Keyspace, queue: &str) -> Self {
        let wait = list(keys, &format!("{queue}:wait")).to_vec();
        Self { wait, by_priority: members(keys, &format!("{queue}:prioritized")) }
    }

    fn all(&self) -> BTreeSet<&String> {
        self.wait.iter().chain(&self.by_priority).collect()
    }
}
