//! Queue names and job ids, and the words neither may use.
//!
//! Job keys share their namespace with the queue's own keys (`<prefix>:<queue>:<suffix>`), so an id that equals a
//! suffix would overwrite the queue. BullMQ accepts such ids and breaks; we refuse them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Every key suffix the wire gives a meaning to, in versions 5 and 6, and our own `operator`.
pub const RESERVED: [&str; 24] = [
    "active",
    "completed",
    "de",
    "delay",
    "delayed",
    "dn",
    "events",
    "failed",
    "id",
    "limiter",
    "marker",
    "meta",
    "metrics",
    "operator",
    "paused",
    "pc",
    "prioritized",
    "priority",
    "repeat",
    "stalled",
    "stalled-check",
    "wait",
    "waiting",
    "waiting-children",
];

/// What the keys that belong to a job end with.
const OF_A_JOB: [&str; 6] = ["dependencies", "failed", "lock", "logs", "processed", "unsuccessful"];

/// Whether the key of this suffix is the queue's own, or belongs to a job, so that no job can have it as its id. The
/// jobs of schedulers are called `repeat:<scheduler>:<milliseconds>`.
#[must_use]
pub fn is_taken(id: &str) -> bool {
    let mut segments = id.split(':');
    let (first, last) = (segments.next().unwrap_or_default(), segments.next_back());
    if first == "repeat" {
        let is_slot = |last: &str| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        return segments.next().is_none() || !last.is_some_and(is_slot);
    }
    // Ids that callers choose have one segment or three, so what follows an even number of them is part of a job.
    let is_part = last.is_some_and(|last| OF_A_JOB.contains(&last)) && segments.count().is_multiple_of(2);
    // A state, but no key: BullMQ lets a job have it.
    (RESERVED.contains(&first) && first != "waiting") || is_part
}

/// The longest name or id, in bytes. Names and ids stand in keys, events, logs and labels, which all outgrow their
/// purpose when somebody keeps data in them.
pub const MAX_BYTES: usize = 1024;

/// Why a name or an id was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// Nothing was given.
    #[error("{what} is empty: give it at least one character")]
    Empty {
        /// Such as `queue name` or `job id`.
        what: &'static str,
    },
    /// Queue names are a segment of a key and may not contain the separator.
    #[error("queue name `{name}` contains a colon, which separates the parts of a key: use `-` or `.` instead")]
    ColonInQueue {
        /// The refused name.
        name: String,
    },
    /// Integers are the ids BullMQ's own counter gives out.
    #[error("job id `{id}` is an integer, and those are what the queue's own counter gives out: put a letter in front")]
    Integer {
        /// The refused id.
        id: String,
    },
    /// BullMQ allows a colon only in ids of three segments.
    #[error("job id `{id}` contains a colon, which separates the parts of a key: use `-` or `.` instead")]
    Colon {
        /// The refused id.
        id: String,
    },
    /// The id is the name of a key of the queue itself.
    #[error("job id `{id}` is reserved: the queue keeps a key of that name; choose another id")]
    Reserved {
        /// The refused id.
        id: String,
    },
    /// Line breaks and other control characters never survive logs, headers and URLs.
    #[error("{what} `{shown}` contains a control character: remove it")]
    Control {
        /// Such as `queue name` or `job id`.
        what: &'static str,
        /// The refused text, escaped.
        shown: String,
    },
    /// It is no name or id but data.
    #[error(
        "{what} has {bytes} bytes and at most {MAX_BYTES} are allowed: shorten it, or put what it says into the data"
    )]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
}

/// Refuses a name or an id that is too long.
///
/// # Errors
/// [`InvalidId::TooLong`], which says `what`.
pub fn check_length(what: &'static str, text: &str) -> Result<(), InvalidId> {
    if text.len() > MAX_BYTES { Err(InvalidId::TooLong { what, bytes: text.len() }) } else { Ok(()) }
}

/// The name of a queue: not empty, no colon, no control character. Every job has it, so its clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`InvalidId`] when it is empty or contains a colon or a control character.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidId> {
        let name = name.into();
        check_text("queue name", &name)?;
        if name.contains(':') {
            return Err(InvalidId::ColonInQueue { name });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for QueueName {
    type Error = InvalidId;

    fn try_from(name: String) -> Result<Self, InvalidId> {
        Self::new(name)
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a job, unique within its queue.
///
/// Ids that are already on the wire are taken as they are ([`JobId::from_wire`]); ids that a caller chooses are
/// checked ([`JobId::custom`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// Checks an id that a caller chose, by BullMQ's rules and our reserved words.
    ///
    /// # Errors
    /// [`InvalidId`] when it is empty, an integer, a word the wire uses, or contains a control character or (except
    /// in three segments) a colon.
    pub fn custom(id: impl Into<String>) -> Result<Self, InvalidId> {
        let id = id.into();
        check_text("job id", &id)?;
        if is_integer_text(&id) {
            return Err(InvalidId::Integer { id });
        }
        let segments = id.split(':').count();
        if id.starts_with("0:") || (segments != 1 && segments != 3) {
            return Err(InvalidId::Colon { id });
        }
        let first = id.split(':').next().unwrap_or_default();
        if RESERVED.contains(&first) {
            return Err(InvalidId::Reserved { id });
        }
        Ok(Self(id))
    }

    /// Takes an id that is already on the wire.
    #[must_use]
    pub fn from_wire(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<uuid::Uuid> for JobId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.hyphenated().to_string())
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is the canonical form of an integer, as JavaScript's `String(parseInt(text, 10)) === text` sees it.
fn is_integer_text(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || !digits.starts_with('0');
    !digits.is_empty() && canonical && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0"
}

/// Refuses a name or an id that is empty, too long, or contains a control character.
///
/// # Errors
/// [`InvalidId`], which says `what`.
pub fn check_text(what: &'static str, text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty { what });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::Control { what, shown: text.escape_debug().to_string() });
    }
    check_length(what, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_id_follows_bullmq_and_spares_the_queues_own_keys() {
        for fine in ["order-7", "0x10", "007", "a:b:c", "018f6d1e-7b5a-7000-8000-000000000000", "é"] {
            assert!(JobId::custom(fine).is_ok(), "{fine} should be accepted");
        }
        for bad in ["", "0", "42", "-5", "0:1", "a:b", "a:b:c:d", "wait", "meta", "metrics:completed:data", "a\nb"] {
            assert!(JobId::custom(bad).is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn the_keys_of_the_queue_and_of_its_jobs_are_no_jobs() {
        for taken in
            ["meta", "repeat", "repeat:nightly", "repeat:7", "metrics:completed", "de:x", "7:logs", "a:b:c:lock"]
        {
            assert!(is_taken(taken), "{taken}");
        }
        for job in
            ["7", "order-7", "a:b:c", "a:b:lock", "lock", "waiting", "repeat:nightly:1700000000000", "repeat:a:b:17"]
        {
            assert!(!is_taken(job), "{job}");
        }
    }

    #[test]
    fn a_queue_name_is_one_segment_of_a_key() {
        assert!(QueueName::new("mail").is_ok());
        assert!(QueueName::new("{tag}mail").is_ok());
        for bad in ["", "a:b", "a\u{7}"] {
            assert!(QueueName::new(bad).is_err(), "{bad:?} should be refused");
        }
        assert!(QueueName::new("x".repeat(MAX_BYTES)).is_ok());
        let long = "x".repeat(MAX_BYTES + 1);
        assert_eq!(QueueName::new(long.clone()), Err(InvalidId::TooLong { what: "queue name", bytes: 1025 }));
        assert_eq!(JobId::custom(long), Err(InvalidId::TooLong { what: "job id", bytes: 1025 }));
    }
}
