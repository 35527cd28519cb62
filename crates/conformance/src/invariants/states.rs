//! A job and the state it is in.

use std::collections::BTreeMap;

use super::view::{QueueView, STATES, number};
use super::{Findings, Invariant};

const FINISHED: [&str; 2] = ["completed", "failed"];

pub(super) fn check(queue: &QueueView<'_>, found: &mut Findings) {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for state in STATES {
        for id in queue.members(state) {
            places.entry(id).or_default().push(state);
        }
    }
    for (id, states) in &places {
        found.unless(states.len() == 1, Invariant::OneState, queue, id, &format!("is in {}", states.join(", ")));
        found.unless(
            queue.hash(id).is_some(),
            Invariant::EntryIsJob,
            queue,
            id,
            &format!("is in {}, but no job", states[0]),
        );
    }
    for (id, fields) in queue.jobs() {
        let states = places.get(id).map(Vec::as_slice).unwrap_or_default();
        found.unless(!states.is_empty(), Invariant::JobHasState, queue, id, "is a job in no state");
        let has_finished = states.iter().any(|state| FINISHED.contains(state));
        let says_when = fields.contains_key("finishedOn");
        if !states.is_empty() && has_finished != says_when {
            let problem = if says_when { "says when it finished" } else { "does not say when it finished" };
            found.add(Invariant::FinishedOn, queue, id, format!("is in {}, but {problem}", states[0]));
        }
        let has_decided = fields.contains_key("defa") && states.contains(&"failed");
        found.unless(!has_decided, Invariant::DecidedFailure, queue, id, "has failed and is still to fail");
    }
    for state in FINISHED {
        for (id, score) in queue.sorted(state) {
            let finished = queue.hash(id).and_then(|fields| number(fields, "finishedOn"));
            let holds = finished.is_none_or(|finished| finished.total_cmp(&score).is_eq());
            found.unless(holds, Invariant::FinishedOn, queue, id, &format!("stands in {state} under another time"));
        }
    }
}
