//! The names of a queue's keys. The wire fixes all but `operator:…`, which is ours.

use std::fmt;

use operator_core::{JobId, QueueName};

/// The keys of one queue, built from a prefix that is made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// `<prefix>:<queue>:`, before every key and every job id.
    prefix: String,
}

impl Keys {
    /// The keys of `queue` under `prefix` (BullMQ's default is `bull`).
    #[must_use]
    pub fn new(prefix: &str, queue: &QueueName) -> Self {
        Self { prefix: format!("{prefix}:{queue}:") }
    }

    /// `<prefix>:<queue>:`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of this suffix, or the hash of the job of this id.
    #[must_use]
    pub fn key(&self, suffix: &str) -> String {
        [self.prefix.as_str(), suffix].concat()
    }

    /// What all keys of the queue share in a cluster, which keeps them on one server; `None` when they share nothing.
    #[must_use]
    pub fn hash_tag(&self) -> Option<&str> {
        hash_tag(&self.prefix)
    }

    /// A key that belongs to a job: its lock, its logs.
    #[must_use]
    pub fn of_job(&self, id: &str, suffix: &str) -> String {
        format!("{}{id}:{suffix}", self.prefix)
    }
}

/// A job as other queues' keys name it: `<prefix>:<queue>:<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobKey {
    /// The first part of all keys of its queue.
    pub prefix: String,
    /// Its queue.
    pub queue: QueueName,
    /// Its id.
    pub id: JobId,
}

impl JobKey {
    /// Takes a full job key apart. The id is what follows the last colon, as on the wire; `None` when that leaves no
    /// prefix or no queue.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let (queue_key, id) = key.rsplit_once(':')?;
        Self::of(queue_key, id)
    }

    /// The job `id` of the queue whose keys begin with `<prefix>:<queue>`.
    pub(crate) fn of(queue_key: &str, id: &str) -> Option<Self> {
        let (prefix, queue) = queue_key.rsplit_once(':')?;
        if prefix.is_empty() || id.is_empty() {
            return None;
        }
        Some(Self { prefix: prefix.to_owned(), queue: QueueName::new(queue).ok()?, id: JobId::from_wire(id) })
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.prefix, self.queue, self.id)
    }
}

/// The set of every queue name that one of our processes has used under `prefix`. The empty segment keeps it apart from
/// all queues, because their names are not empty.
#[must_use]
pub fn registry(prefix: &str) -> String {
    format!("{prefix}::operator:queues")
}

/// What workers run, and what they ever ran. All keys of it share a hash tag: the prefix's, or `{catalogue}`.
#[must_use]
pub(crate) fn catalogue(prefix: &str, suffix: &str) -> String {
    format!("{prefix}::operator:{{catalogue}}:{suffix}")
}

/// A key on which the rights of a user are tried; it exists for no longer than a script runs.
#[must_use]
pub(crate) fn trial(prefix: &str) -> String {
    format!("{prefix}::operator:rights")
}

/// The part of a key between its first `{` and the next `}`, if there is something: a cluster looks at nothing else.
#[must_use]
pub fn hash_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

/// The slot of a cluster, 0 to 16383, that `key` lies in.
#[must_use]
pub fn slot(key: &str) -> u16 {
    crc16(hash_tag(key).unwrap_or(key).as_bytes()) % 16_384
}

/// CRC-16/XMODEM, which the cluster's specification names.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum: u16, byte| {
        (0..8).fold(
            sum ^ (u16::from(*byte) << 8),
            |sum, _| {
                if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
            },
        )
    })
}

/// The name under which BullMQ finds the connection of a worker (bullmq-wire, section 4).
#[must_use]
pub fn connection_name(prefix: &str, queue: &QueueName, worker: Option<&str>) -> String {
    use base64::Engine as _;
    let queue = base64::engine::general_purpose::STANDARD.encode(queue.as_str());
    let name = match worker {
        Some(worker) => {
            format!("{prefix}:{queue}:w:{worker}")
        }
        None => format!("{prefix}:{queue}"),
    };
    // Redis refuses connection names with anything else.
    name.replace(|letter: char| !letter.is_ascii_graphic(), "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_key_is_taken_apart_at_its_last_colons() {
        let key = JobKey::parse("bull:mail:7").unwrap();
        assert_eq!((key.prefix.as_str(), key.queue.as_str(), key.id.as_str()), ("bull", "mail", "7"));
        assert_eq!(JobKey::parse("a:b:mail:7").unwrap().prefix, "a:b");
        assert_eq!(JobKey::parse("a:b:mail:7").unwrap().to_string(), "a:b:mail:7");
        for broken in ["", "7", "mail:7", ":mail:7", "bull::7", "bull:mail:"] {
            assert_eq!(JobKey::parse(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn keys_and_connection_names_are_bullmqs() {
        let queue = QueueName::new("q2").unwrap();
        let keys = Keys::new("bull", &queue);
        assert_eq!(keys.key("wait"), "bull:q2:wait");
        assert_eq!(keys.of_job("7", "lock"), "bull:q2:7:lock");
        assert_eq!(connection_name("bull", &queue, Some("wn")), "bull:cTI=:w:wn");
        assert_eq!(connection_name("bull", &queue, Some("a b")), "bull:cTI=:w:a-b");
        assert_eq!(connection_name("bull", &queue, Some("wörker")), "bull:cTI=:w:w-rker");
        assert_eq!(connection_name("bull", &queue, None), "bull:cTI=");
    }

    #[test]
    fn a_slot_depends_on_the_hash_tag_alone() {
        // The first is the checksum's own test value; the others were asked of a server.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!((slot("foo"), slot("{foo}:bar"), slot("bull:{foo}:wait")), (12182, 12182, 12182));
        assert_eq!(hash_tag("{bull}:{mail}:wait"), Some("bull"));
        for key in ["bull:mail", "bull:{}:{mail}", "bull:{mail", "bull:}mail{"] {
            assert_eq!(hash_tag(key), None, "{key}");
        }
        assert_eq!(Keys::new("bull", &QueueName::new("{mail}").unwrap()).hash_tag(), Some("mail"));
        assert_eq!(Keys::new("{bull}", &QueueName::new("mail").unwrap()).hash_tag(), Some("bull"));
    }
}
