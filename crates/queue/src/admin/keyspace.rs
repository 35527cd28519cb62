//! Which of the server's keys belong to a queue. Nobody lists them, so they are known by their names; a key whose name
//! is not one of a queue's is somebody else's and stays.

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Arg, Reply, ServerHandle};
use crate::registry::glob_escaped;

/// How many keys one step of the search looks at.
const SCAN_STEP: u64 = 1000;

/// What a key of a queue may be, by what follows the queue's prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// The hash of a job, if it looks like one; the id.
    Job(&'a str),
    /// A deduplication id, a scheduler, or a key that only we write.
    Belonging,
    /// None of these, or what goes with its job.
    Other,
}

impl<'a> Part<'a> {
    pub(super) fn of(rest: &'a str) -> Self {
        if ["de:", "dn:", "operator:"].iter().any(|prefix| rest.starts_with(prefix)) {
            return Self::Belonging;
        }
        match rest.rsplit_once(':') {
            Some(("repeat", _)) => Self::Belonging,
            _ if is_job_id(rest) => Self::Job(rest),
            _ => Self::Other,
        }
    }
}

/// BullMQ's ids have no colon, or are iterations, or have three segments.
fn is_job_id(id: &str) -> bool {
    !id.is_empty() && (id.starts_with("repeat:") || matches!(id.split(':').count(), 1 | 3))
}

/// A look through all keys of the server, a page at a time.
pub(super) struct KeyScan<'a> {
    prefix: &'a str,
    pattern: String,
    /// The servers that are left; the scan is in the last of them.
    servers: Vec<ServerHandle>,
    cursor: String,
}

impl Queue {
    /// Begins a look for the keys that begin as the queue's do.
    pub(super) fn scan_keys(&self) -> KeyScan<'_> {
        let prefix = self.keys.prefix();
        let pattern = format!("{}*", glob_escaped(prefix));
        KeyScan { prefix, pattern, servers: self.redis.servers(), cursor: "0".to_owned() }
    }
}

impl KeyScan<'_> {
    /// What follows the queue's prefix in the keys of the next page, which may be none; `None` at the end.
    pub(super) async fn next_page(&mut self) -> Result<Option<Vec<String>>, QueueError> {
        let Some(server) = self.servers.last() else { return Ok(None) };
        let cursor = self.cursor.as_str().into();
        let args: Vec<Arg> =
            vec![cursor, "MATCH".into(), self.pattern.as_str().into(), "COUNT".into(), SCAN_STEP.into()];
        let mut page = server.command("SCAN", args).await?.into_list().into_iter();
        self.cursor = page.next().and_then(|cursor| cursor.text()).unwrap_or_else(|| "0".to_owned());
        if self.cursor == "0" {
            self.servers.pop();
        }
        let keys = page.next().map(Reply::into_texts).unwrap_or_default();
        Ok(Some(keys.iter().filter_map(|key| Some(key.strip_prefix(self.prefix)?.to_owned())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_their_names() {
        for job in ["7", "repeat:s:1700000000000", "a:b:c"] {
            assert_eq!(Part::of(job), Part::Job(job));
        }
        for belonging in ["de:x", "dn:a:b", "operator:history", "repeat:s"] {
            assert_eq!(Part::of(belonging), Part::Belonging, "{belonging}");
        }
        for other in ["", "metrics:failed", "7:lock", "a:b", "x:12:failed:y", "q2:failed"] {
            assert_eq!(Part::of(other), Part::Other, "{other}");
        }
    }
}
