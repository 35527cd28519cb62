//! A job hash, read back.

use std::collections::HashMap;

use operator_core::{Job, JobId, Json, QueueName};

use super::options;
use crate::error::QueueError;
use crate::redis::Reply;

/// Reads the answer of `HGETALL`; `None` when there is no such hash.
pub(crate) fn from_hash(queue: &QueueName, id: &str, reply: Reply) -> Result<Option<Job>, QueueError> {
    let mut texts = reply.into_texts().into_iter();
    let mut fields = HashMap::new();
    while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
        fields.insert(field, value);
    }
    // A hash without a name is what a claim of a deleted id leaves behind: not a job.
    if !fields.contains_key("name") {
        return Ok(None);
    }
    from_fields(queue, id, |name| fields.remove(name)).map(Some)
}

/// That a job is to be cancelled or was: ours, and unknown to BullMQ.
const CANCEL_MARK: &str = "operator:cancel";

/// When a job with a time to be started by was put back in line by hand: ours, too.
const RESTARTED: &str = "operator:restarted";

/// The fields of a job in short: all but its data, options, result, progress and stack traces, which may be large.
pub(crate) const OUTLINE: [&str; 16] = [
    "name",
    "timestamp",
    "delay",
    "priority",
    "atm",
    "attemptsMade",
    "ats",
    "stc",
    "processedOn",
    "finishedOn",
    "failedReason",
    "pb",
    "defa",
    "rjk",
    "parentKey",
    CANCEL_MARK,
];

/// Reads the answer of `HMGET` of [`OUTLINE`]; `None` when there is no such hash.
pub(crate) fn from_outline(queue: &QueueName, id: &str, reply: Reply) -> Result<Option<Job>, QueueError> {
    let texts = reply.into_list().into_iter().map(|value| value.text());
    let mut fields: HashMap<_, _> =
        OUTLINE.into_iter().zip(texts).filter_map(|(name, text)| Some((name, text?))).collect();
    if !fields.contains_key("name") {
        return Ok(None);
    }
    from_fields(queue, id, |name| fields.remove(name)).map(Some)
}

/// What a claim's reply has of a job, in its order.
const CLAIMED: [&str; 17] = [
    "name",
    "data",
    "opts",
    "timestamp",
    "delay",
    "priority",
    "ats",
    "defa",
    "rjk",
    "deid",
    "parentKey",
    "atm",
    "stc",
    "stacktrace",
    "pb",
    RESTARTED,
    "id",
];

/// Reads one job of a claim's reply. When it is not readable, its id is still given.
pub(crate) fn from_claim(queue: &QueueName, reply: Reply) -> (String, Result<Job, QueueError>) {
    let mut values: Vec<Option<String>> = reply.into_list().into_iter().map(Reply::into_text).collect();
    let mut take = |name: &str| {
        let position = CLAIMED.iter().position(|claimed| *claimed == name)?;
        values.get_mut(position)?.take()
    };
    let id = take("id").unwrap_or_default();
    let job = from_fields(queue, &id, take);
    (id, job)
}

fn from_fields(queue: &QueueName, id: &str, mut field: impl FnMut(&str) -> Option<String>) -> Result<Job, QueueError> {
    let corrupt = |field: &str, error: serde_json::Error| QueueError::Corrupt {
        what: format!("{field} of job {id} in queue {queue}"),
        problem: error.to_string(),
    };
    let whole = |text: Option<String>| text.and_then(|text| text.parse::<f64>().ok()).map_or(0, round);
    let wire_opts = field("opts").unwrap_or_else(|| "{}".to_owned());
    let attempts_made = field("attemptsMade").or_else(|| field("atm"));
    Ok(Job {
        queue: queue.clone(),
        id: JobId::from_wire(id),
        name: field("name").unwrap_or_default(),
        data: Json::parse(field("data").unwrap_or_else(|| "{}".to_owned())).map_err(|error| corrupt("data", error))?,
        opts: options::decode(&wire_opts),
        wire_opts: Json::parse(wire_opts).map_err(|error| corrupt("opts", error))?,
        timestamp_ms: whole(field("timestamp")),
        delay_ms: whole(field("delay")),
        priority: small(whole(field("priority"))),
        attempts_made: small(whole(attempts_made)),
        attempts_started: small(whole(field("ats"))),
        stalled: small(whole(field("stc"))),
        processed_ms: field("processedOn").map(|text| whole(Some(text))),
        finished_ms: field("finishedOn").map(|text| whole(Some(text))),
        processed_by: field("pb"),
        progress: field("progress").and_then(|text| Json::parse(text).ok()),
        return_value: field("returnvalue").and_then(|text| Json::parse(text).ok()),
        failed_reason: field("failedReason"),
        stacktrace: field("stacktrace").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        deferred_failure: field("defa"),
        parent_key: field("parentKey"),
        scheduler_id: field("rjk"),
        deduplication_id: field("deid"),
        cancelled: field(CANCEL_MARK),
        restarted_ms: field(RESTARTED).map(|text| whole(Some(text))),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times and counts; a cast saturates")]
fn round(number: f64) -> u64 {
    number as u64
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A result, or another value, that its writer should have made JSON: it is text where it is not.
pub(crate) fn json_or_text(text: String) -> Json {
    Json::parse(text.clone()).or_else(|_| Json::encode(&text)).unwrap_or_default()
}
