//! The entries of an events stream (bullmq-wire, 1.5).

use operator_core::Json;

use super::EventId;
use crate::redis::Reply;

/// An entry of an events stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEntry {
    /// Its id, which also says when the server wrote it.
    pub id: EventId,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`job_id` and `prev` mean the same everywhere: the job, and the state it left")]
pub enum Event {
    /// A job was made.
    Added { job_id: String, name: String },
    /// A job is in line.
    Waiting { job_id: String, prev: Option<String> },
    /// A job is to run later: when, epoch ms.
    Delayed { job_id: String, due_ms: u64 },
    /// A parent waits for its children.
    WaitingChildren { job_id: String, prev: Option<String> },
    /// A worker claimed a job.
    Active { job_id: String, prev: Option<String> },
    /// A job has its result.
    Completed { job_id: String, return_value: Json, prev: Option<String> },
    /// A job failed for good.
    Failed { job_id: String, reason: String, prev: Option<String> },
    /// A failed job has used all its attempts.
    RetriesExhausted { job_id: String, attempts_made: u32 },
    /// A job lost its worker.
    Stalled { job_id: String },
    /// A job told how far it has come.
    Progress { job_id: String, data: Json },
    /// Claims were stopped.
    Paused,
    /// Claims go on.
    Resumed,
    /// The last job ended and nothing waits.
    Drained,
    /// A job was removed by hand.
    Removed { job_id: String, prev: Option<String> },
    /// Jobs were cleaned away: how many.
    Cleaned { count: u64 },
    /// A job was not added, because its id is taken.
    Duplicated { job_id: String },
    /// A job was not added (or replaced another), because its deduplication id is taken.
    Deduplicated { job_id: String, deduplication_id: String, deduplicated_job_id: Option<String> },
    /// As `Deduplicated`, in the words of BullMQ 5, which writes both.
    Debounced { job_id: String, debounce_id: String },
    /// A custom event, or an entry that is not what its name says: the name (empty when there is none) and the other
    /// fields as they stand.
    Other { name: String, fields: Vec<(String, String)> },
}

/// The events of the wire: nobody may publish under their names.
pub(super) const WIRE_NAMES: [&str; 20] = [
    "active",
    "added",
    "cleaned",
    "completed",
    "debounced",
    "deduplicated",
    "delayed",
    "drained",
    "duplicated",
    "error",
    "failed",
    "paused",
    "progress",
    "removed",
    "resumed",
    "retries-exhausted",
    "stalled",
    "waiting",
    "waiting-children",
    "ioredis:close",
];

impl Event {
    /// The job it is about, if it is about one.
    #[must_use]
    pub fn job_id(&self) -> Option<&str> {
        match self {
            Self::Added { job_id, .. }
            | Self::Waiting { job_id, .. }
            | Self::Delayed { job_id, .. }
            | Self::WaitingChildren { job_id, .. }
            | Self::Active { job_id, .. }
            | Self::Completed { job_id, .. }
            | Self::Failed { job_id, .. }
            | Self::RetriesExhausted { job_id, .. }
            | Self::Stalled { job_id }
            | Self::Progress { job_id, .. }
            | Self::Removed { job_id, .. }
            | Self::Duplicated { job_id }
            | Self::Deduplicated { job_id, .. }
            | Self::Debounced { job_id, .. } => Some(job_id),
            Self::Paused | Self::Resumed | Self::Drained | Self::Cleaned { .. } => None,
            Self::Other { fields, .. } => {
                fields.iter().find(|(field, _)| field == "jobId").map(|(_, value)| value.as_str())
            }
        }
    }

    /// Reads the fields of an entry; what is not an event of the wire is [`Event::Other`].
    fn from_fields(fields: Vec<(String, String)>) -> Self {
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        let name = field("event").unwrap_or_default();
        Self::known(&name, &field).unwrap_or_else(|| {
            let fields = fields.into_iter().filter(|(field, _)| field != "event").collect();
            Self::Other { name, fields }
        })
    }

    /// The event of that name, if its fields are all there and readable.
    fn known(name: &str, field: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let json = |name: &str| Json::parse(field(name)?).ok();
        let job_id = || field("jobId");
        let prev = field("prev");
        Some(match name {
            "added" => Self::Added { job_id: job_id()?, name: field("name")? },
            "waiting" => Self::Waiting { job_id: job_id()?, prev },
            "delayed" => Self::Delayed { job_id: job_id()?, due_ms: whole(&field("delay")?)? },
            "waiting-children" => Self::WaitingChildren { job_id: job_id()?, prev },
            "active" => Self::Active { job_id: job_id()?, prev },
            "completed" => Self::Completed { job_id: job_id()?, return_value: json("returnvalue")?, prev },
            "failed" => Self::Failed { job_id: job_id()?, reason: field("failedReason")?, prev },
            "retries-exhausted" => Self::RetriesExhausted {
                job_id: job_id()?,
                attempts_made: whole(&field("attemptsMade")?)?.try_into().ok()?,
            },
            "stalled" => Self::Stalled { job_id: job_id()? },
            "progress" => Self::Progress { job_id: job_id()?, data: json("data")? },
            "paused" => Self::Paused,
            "resumed" => Self::Resumed,
            "drained" => Self::Drained,
            "removed" => Self::Removed { job_id: job_id()?, prev },
            "cleaned" => Self::Cleaned { count: whole(&field("count")?)? },
            "duplicated" => Self::Duplicated { job_id: job_id()? },
            "deduplicated" => Self::Deduplicated {
                job_id: job_id()?,
                deduplication_id: field("deduplicationId")?,
                deduplicated_job_id: field("deduplicatedJobId"),
            },
            "debounced" => Self::Debounced { job_id: job_id()?, debounce_id: field("debounceId")? },
            _ => return None,
        })
    }
}

/// A whole number that is not negative; Lua writes large ones with an exponent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times and counts; checked to be in range")]
fn whole(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    text.parse().ok().or_else(|| (0.0..=9e15).contains(&number).then_some(number as u64))
}

/// Reads an entry of `XRANGE` or `XREAD`; `None` for what is not one.
pub(super) fn read_entry(reply: Reply) -> Option<EventEntry> {
    let mut parts = reply.into_list().into_iter();
    let id = parts.next()?.text()?.parse().ok()?;
    // An entry that was deleted while it was read has no fields.
    let mut texts = parts.next().map(Reply::into_texts).unwrap_or_default().into_iter();
    let fields = std::iter::from_fn(|| Some((texts.next()?, texts.next()?))).collect();
    Some(EventEntry { id, event: Event::from_fields(fields) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: &[(&str, &str)]) -> Event {
        Event::from_fields(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn an_entry_that_is_not_what_its_name_says_is_kept_as_it_stands() {
        for broken in [
            &[("event", "completed"), ("jobId", "1"), ("returnvalue", "{")][..],
            &[("event", "completed"), ("jobId", "1")],
            &[("event", "progress"), ("jobId", "1"), ("data", "half")],
            &[("event", "delayed"), ("jobId", "1"), ("delay", "soon")],
            &[("event", "cleaned"), ("count", "-3")],
            &[("event", "retries-exhausted"), ("jobId", "1"), ("attemptsMade", "99999999999")],
            &[("event", "mine"), ("jobId", "1")],
            &[("jobId", "1")],
            &[],
        ] {
            assert!(matches!(event(broken), Event::Other { .. }), "{broken:?}");
        }
        let other = event(&[("a", "1"), ("event", "mine"), ("b", "2")]);
        let fields = vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
        assert_eq!(other, Event::Other { name: "mine".to_owned(), fields });
    }

    #[test]
    fn numbers_are_read_in_the_forms_that_scripts_write() {
        let due = |text| event(&[("event", "delayed"), ("jobId", "1"), ("delay", text)]);
        let at = |due_ms| Event::Delayed { job_id: "1".to_owned(), due_ms };
        assert_eq!(due("1790000000000"), at(1_790_000_000_000));
        assert_eq!(due("1.79e+12"), at(1_790_000_000_000));
        assert_eq!(due("1790000000000.5"), at(1_790_000_000_000));
    }
}
