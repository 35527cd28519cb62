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
        && moment.ours.1 == moment.before
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
