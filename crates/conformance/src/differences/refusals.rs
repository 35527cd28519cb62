//! What we refuse and BullMQ does not, or refuses too late.

use serde_json::Value;

use super::Moment;
use crate::answer::Answer;
use crate::keyspace::Content;
use crate::operation::Operation;
use crate::verdict::{Place, Unequal};

/// The last priority the wire can order.
const MAX_PRIORITY: u64 = 2_097_151;

/// What the limiter holds while a queue was told to rest.
const RESTING: &str = "9007199254740991";

pub(super) fn of_input(moment: &Moment<'_>, _: &Unequal) -> bool {
    matches!((moment.node.0, moment.ours.0), (Answer::Done(_), Answer::Invalid(_)))
        && moment.ours.1 == moment.before
        && is_unfit(moment.operation)
}

pub(super) fn of_flows(moment: &Moment<'_>, _: &Unequal) -> bool {
    matches!(moment.operation, Operation::AddFlow(_) | Operation::AddFlows(_))
        && matches!((moment.node.0, moment.ours.0), (Answer::Done(_), Answer::Refused(-7)))
        && has_added_nothing(moment)
}

/// A queue that is used for the first time has its settings from then on, also when what it was used for is refused.
fn has_added_nothing(moment: &Moment<'_>) -> bool {
    let is_old = |key: &String| moment.before.contains_key(key) || !key.ends_with(":meta");
    moment.ours.1.iter().filter(|(key, _)| is_old(key)).eq(moment.before)
}

pub(super) fn that_write_nothing(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let is_refused = matches!((moment.node.0, moment.ours.0), (Answer::Refused(a), Answer::Refused(b)) if a == b);
    is_refused && matches!(&unequal.place, Place::Key(key) if moment.ours.1.get(key) == moment.before.get(key))
}

pub(super) fn of_claims(moment: &Moment<'_>, _: &Unequal) -> bool {
    let rests = || {
        let limiters = moment.before.iter().filter(|(key, _)| key.ends_with(":limiter"));
        limiters.into_iter().any(|(_, entry)| matches!(&entry.content, Content::Text(text) if text == RESTING))
    };
    matches!(moment.operation, Operation::Claim(_))
        && matches!(moment.ours.0, Answer::Done(Value::Null))
        && moment.ours.1 == moment.before
        && rests()
}

/// The id of the iteration that BullMQ made is that of a job which was there.
pub(super) fn of_occupied_slots(moment: &Moment<'_>, _: &Unequal) -> bool {
    let Operation::UpsertScheduler(upsert) = moment.operation else { return false };
    let (Answer::Done(Value::String(id)), Answer::Refused(-10)) = (moment.node.0, moment.ours.0) else { return false };
    moment.ours.1 == moment.before && moment.before.contains_key(&format!("bull:{}:{id}", upsert.queue))
}

/// A tree that we could read and BullMQ could not, or in which it shows nothing for a child that is gone.
pub(super) fn of_flows_with_gaps(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let Operation::GetFlow(_) = moment.operation else { return false };
    unequal.place == Place::Answer
        && match (moment.node.0, moment.ours.0) {
            (Answer::Invalid(_), Answer::Done(ours)) => ours.is_object(),
            (Answer::Done(node), Answer::Done(ours)) => without_gaps(node.clone()) == *ours,
            _ => false,
        }
}

fn without_gaps(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(without_gaps).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, without_gaps(value))).collect(),
        other => other,
    }
}

/// Whether an operation asks for what no queue can do.
fn is_unfit(operation: &Operation) -> bool {
    let is_negative = |value: &Value| value.as_f64().is_some_and(|number| number < 0.0);
    let is_unfit = |opts: &Value| {
        let id = opts["jobId"].as_str().unwrap_or_default();
        ["delay", "priority", "attempts"].iter().any(|name| is_negative(&opts[*name]))
            || operator_core::ids::RESERVED.contains(&id.split(':').next().unwrap_or_default())
            || opts.get("repeat").is_some()
    };
    match operation {
        Operation::Add(add) => add.opts.as_ref().is_some_and(is_unfit),
        Operation::AddBulk(bulk) => bulk.jobs.iter().filter_map(|job| job.opts.as_ref()).any(is_unfit),
        Operation::UpsertScheduler(upsert) => {
            is_negative(&upsert.repeat["every"]) || upsert.repeat["limit"].as_u64() == Some(0)
        }
        Operation::ChangePriority(change) => change.priority > MAX_PRIORITY,
        _ => false,
    }
}
