//! The differences we declare: where BullMQ does what nobody can want, we do something else, and only there.
//!
//! Each is recognised by a function of its own, place by place. It must be exact: what it lets pass is not compared.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::keyspace::{Content, Entry, Keyspace};
use crate::operation::Operation;
use crate::verdict::{Place, Unequal};

/// A difference on purpose.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Difference {
    /// What it is called.
    pub id: &'static str,
    /// What BullMQ does and what we do instead.
    pub sentence: &'static str,
    /// Whether this place differs in exactly this way.
    #[serde(skip)]
    explains: fn(&Moment<'_>, &Unequal) -> bool,
}

/// A step that both subjects have taken; keyspaces and answers are in their normal form.
#[derive(Debug)]
pub struct Moment<'a> {
    /// What was done.
    pub operation: &'a Operation,
    /// What was in both databases.
    pub before: &'a Keyspace,
    /// What BullMQ made of it.
    pub node: (&'a Answer, &'a Keyspace),
    /// What we made of it.
    pub ours: (&'a Answer, &'a Keyspace),
}

/// Every declared difference. A run over all scripted sequences fails when one of them does not occur.
pub static DIFFERENCES: &[Difference] = &[
    Difference {
        id: "refused-input",
        sentence: "BullMQ takes numbers out of their range, options it does not know and ids that are the names of its \
                   own keys, and breaks on them later; we refuse them before anything is written.",
        explains: |moment, _| {
            matches!((moment.node.0, moment.ours.0), (Answer::Done(_), Answer::Invalid(_)))
                && moment.ours.1 == moment.before
                && is_unfit(moment.operation)
        },
    },
    Difference {
        id: "refused-whole",
        sentence: "When a child of a flow has another parent already, BullMQ adds the rest and leaves the new parent \
                   waiting for ever; we add nothing and say why.",
        explains: |moment, _| {
            matches!(moment.operation, Operation::AddFlow(_) | Operation::AddFlows(_))
                && matches!((moment.node.0, moment.ours.0), (Answer::Done(_), Answer::Refused(-7)))
                && moment.ours.1 == moment.before
        },
    },
    Difference {
        id: "refused-writes-nothing",
        sentence: "A script of BullMQ that refuses may have written before it found out; ours look first.",
        explains: |moment, unequal| {
            let is_refused =
                matches!((moment.node.0, moment.ours.0), (Answer::Refused(a), Answer::Refused(b)) if a == b);
            is_refused && matches!(&unequal.place, Place::Key(key) if moment.ours.1.get(key) == moment.before.get(key))
        },
    },
    Difference {
        id: "manual-rate-limit",
        sentence: "BullMQ's workers without a limiter do not honour `rateLimit` of a queue without one; ours do.",
        explains: |moment, _| {
            let Operation::Claim(_) = moment.operation else { return false };
            let rests = |(key, entry): (&String, &Entry)| {
                key.ends_with(":limiter") && entry.content == Content::Text("9007199254740991".to_owned())
            };
            matches!(moment.ours.0, Answer::Done(Value::Null))
                && moment.ours.1 == moment.before
                && moment.before.iter().any(rests)
        },
    },
    Difference {
        id: "ghosts",
        sentence: "BullMQ claims and recovers ids whose job is gone, which makes a job without name and data; we drop \
                   them.",
        explains: explains_ghosts,
    },
    Difference {
        id: "place-in-line",
        sentence: "BullMQ forgets the priority or `lifo` of jobs that are promoted, retried in bulk or recovered; with us \
                   they keep their place in line.",
        explains: explains_places,
    },
    Difference {
        id: "obliterated-whole",
        sentence: "BullMQ leaves parents that wait for children, the limiter and deduplication ids behind when a queue is \
                   obliterated; we leave nothing.",
        explains: |moment, unequal| {
            matches!(moment.operation, Operation::Obliterate(_))
                && matches!(&unequal.place, Place::Key(key) if !moment.ours.1.contains_key(key))
        },
    },
    Difference {
        id: "orphans-spared",
        sentence: "BullMQ takes every key it does not know for an orphaned job, and the failures' metrics, too; we \
                   remove only what looks like a job.",
        explains: |moment, unequal| {
            let Operation::RemoveOrphans(_) = moment.operation else { return false };
            let is_spared = |key: &String| {
                let is_ours = moment.ours.1.get(key) == moment.before.get(key);
                is_ours && !moment.node.1.contains_key(key) && !looks_like_a_job(moment.before, key)
            };
            match &unequal.place {
                Place::Key(key) => is_spared(key),
                Place::Answer => moment.before.keys().any(is_spared),
            }
        },
    },
    Difference {
        id: "vanished-parent",
        sentence: "BullMQ notes the failure of a child for a parent whose job is gone; we have nobody to tell.",
        explains: |moment, unequal| {
            let Operation::Fail(_) = moment.operation else { return false };
            let Place::Key(key) = &unequal.place else { return false };
            let parent = key.strip_suffix(":unsuccessful");
            parent.is_some_and(|parent| !moment.before.contains_key(parent)) && !moment.ours.1.contains_key(key)
        },
    },
    Difference {
        id: "delay-marker",
        sentence: "BullMQ leaves out the marker of a job that is delayed by its failure when another is claimed in the \
                   same step; we always set it.",
        explains: |moment, unequal| {
            let Operation::Fail(fail) = moment.operation else { return false };
            let Place::Key(key) = &unequal.place else { return false };
            let Some(queue) = key.strip_suffix(":marker") else { return false };
            let others = |keys: &Keyspace| markers(keys, key).into_iter().filter(|(member, _)| member != "1").collect();
            let (theirs, own): (Vec<_>, Vec<_>) = (others(moment.node.1), others(moment.ours.1));
            let marked = markers(moment.ours.1, key).into_iter().find(|(member, _)| member == "1");
            let due = earliest_due(moment.ours.1, queue);
            fail.next.is_some() && theirs == own && marked.and_then(|(_, at)| at.parse().ok()) == due
        },
    },
];

/// The declared difference that explains this place, if there is one.
pub(crate) fn explaining(moment: &Moment<'_>, unequal: &Unequal) -> Option<&'static str> {
    DIFFERENCES.iter().find(|difference| (difference.explains)(moment, unequal)).map(|difference| difference.id)
}

/// The last priority the wire can order.
const MAX_PRIORITY: u64 = 2_097_151;

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

/// Ids in line or at work without a hash; a difference may show in their keys, in the lists and in the events.
fn explains_ghosts(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let list = match moment.operation {
        Operation::Claim(_) => "wait",
        Operation::StalledCheck(_) => "active",
        _ => return false,
    };
    let ghosts: Vec<(String, String)> = moment
        .before
        .iter()
        .filter_map(|(key, entry)| Some((key.strip_suffix(list)?, entry)))
        .flat_map(|(prefix, entry)| {
            let ids = if let Content::List(ids) = &entry.content { ids.as_slice() } else { &[] };
            ids.iter().map(move |id| (prefix.to_owned(), format!("{prefix}{id}")))
        })
        .filter(|(_, job)| !moment.before.contains_key(job))
        .collect();
    match &unequal.place {
        Place::Answer => !ghosts.is_empty(),
        Place::Key(key) => ghosts.iter().any(|(prefix, job)| {
            let shared = ["wait", "active", "events", "marker"];
            key == job
                || *key == format!("{job}:lock")
                || shared.iter().any(|suffix| *key == format!("{prefix}{suffix}"))
        }),
    }
}

/// Jobs in line that are there for both subjects, each that came with this step where its priority puts it with us.
fn explains_places(moment: &Moment<'_>, unequal: &Unequal) -> bool {
    let moves = matches!(
        moment.operation,
        Operation::Claim(_)
            | Operation::StalledCheck(_)
            | Operation::Promote(_)
            | Operation::PromoteJobs(_)
            | Operation::RetryJobs(_)
            | Operation::Remove(_)
            | Operation::RemoveUnprocessedChildren(_)
            | Operation::RemoveChildDependency(_)
    );
    let Place::Key(key) = &unequal.place else { return false };
    let Some((queue, suffix)) = key.rsplit_once(':') else { return false };
    let (before, theirs, own) =
        (in_line(moment.before, queue), in_line(moment.node.1, queue), in_line(moment.ours.1, queue));
    let is_placed = |id: &String| {
        let job = format!("{queue}:{id}");
        let priority = field(moment.ours.1, &job, "priority").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let was_there = before.0.contains(id) || before.1.contains(id);
        was_there || own.1.contains(id) == (priority > 0)
    };
    let all = |(wait, prioritized): &(Vec<String>, Vec<String>)| {
        wait.iter().chain(prioritized).cloned().collect::<BTreeSet<String>>()
    };
    let is_reordered = |id: &String| {
        let opts = field(moment.ours.1, &format!("{queue}:{id}"), "opts").unwrap_or_default();
        own.1.contains(id) != theirs.1.contains(id) || opts.contains("\"lifo\":true")
    };
    moves
        && matches!(suffix, "wait" | "prioritized" | "pc")
        && all(&theirs) == all(&own)
        && own.0.iter().chain(&own.1).all(is_placed)
        && own.0.iter().chain(&own.1).any(is_reordered)
}

/// The ids that wait, and those that wait by priority.
fn in_line(keys: &Keyspace, queue: &str) -> (Vec<String>, Vec<String>) {
    let content = |suffix: &str| keys.get(&format!("{queue}:{suffix}")).map(|entry| &entry.content);
    let wait = if let Some(Content::List(ids)) = content("wait") { ids.clone() } else { Vec::new() };
    let prioritized = match content("prioritized") {
        Some(Content::Sorted(members)) => members.iter().map(|(id, _)| id.clone()).collect(),
        _ => Vec::new(),
    };
    (wait, prioritized)
}

fn field(keys: &Keyspace, key: &str, name: &str) -> Option<String> {
    match &keys.get(key)?.content {
        Content::Hash(fields) => fields.get(name).cloned(),
        _ => None,
    }
}

fn looks_like_a_job(keys: &Keyspace, key: &str) -> bool {
    ["name", "data", "opts", "timestamp"].into_iter().all(|name| field(keys, key, name).is_some())
}

fn markers(keys: &Keyspace, key: &str) -> Vec<(String, String)> {
    match keys.get(key).map(|entry| &entry.content) {
        Some(Content::Sorted(markers)) => markers.clone(),
        _ => Vec::new(),
    }
}

/// When the first delayed job is due, epoch milliseconds; scores keep twelve bits below that.
fn earliest_due(keys: &Keyspace, queue: &str) -> Option<f64> {
    let Content::Sorted(delayed) = &keys.get(&format!("{queue}:delayed"))?.content else { return None };
    Some(delayed.first()?.1.parse::<f64>().ok()? / 4096.0)
}
