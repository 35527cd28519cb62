//! What the generator sees before a step: the keyspace that both subjects share, read as queues and jobs.

use crate::keyspace::{Content, Keyspace};

/// The states of the wire that are lists or sets of ids, by the suffixes of their keys.
pub(crate) const STATES: [&str; 7] =
    ["wait", "active", "prioritized", "delayed", "waiting-children", "completed", "failed"];

/// The keyspace before a step, and the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    keys: &'a Keyspace,
    pub(crate) now_ms: u64,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(keys: &'a Keyspace, now_ms: u64) -> Self {
        Self { keys, now_ms }
    }

    /// The ids in a state, as they stand there.
    pub(crate) fn ids(&self, queue: &str, state: &str) -> Vec<&'a str> {
        match self.content(&key(queue, state)) {
            Some(Content::List(ids)) => ids.iter().map(String::as_str).collect(),
            Some(Content::Sorted(members)) => members.iter().map(|(id, _)| id.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The jobs that have ended at this very time.
    pub(crate) fn ended_now(&self, queue: &str) -> impl Iterator<Item = &'a str> {
        let now = self.now_ms.to_string();
        let ended = ["completed", "failed"].map(|state| match self.content(&key(queue, state)) {
            Some(Content::Sorted(members)) => members.as_slice(),
            _ => &[],
        });
        ended.into_iter().flatten().filter(move |(_, at)| *at == now).map(|(id, _)| id.as_str())
    }

    /// When the first delayed job is due, epoch milliseconds.
    pub(crate) fn first_due_ms(&self, queue: &str) -> Option<u64> {
        const SLOTS: u64 = 4096;
        let Some(Content::Sorted(members)) = self.content(&key(queue, "delayed")) else { return None };
        members.first().and_then(|(_, score)| score.parse::<u64>().ok()).map(|score| score / SLOTS)
    }

    /// The ids of the schedulers.
    pub(crate) fn schedulers(&self, queue: &str) -> Vec<&'a str> {
        match self.content(&key(queue, "repeat")) {
            Some(Content::Sorted(members)) => members.iter().map(|(id, _)| id.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The deduplication ids that have an owner; with `expiring` only those whose time will come.
    pub(crate) fn deduplications(&self, queue: &str, expiring: bool) -> Vec<&'a str> {
        let prefix = key(queue, "de:");
        let owned = self.keys.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        owned.filter(|(_, entry)| entry.expires || !expiring).map(|(key, _)| key[prefix.len()..].as_ref()).collect()
    }

    /// Whether `token` holds the active job.
    pub(crate) fn is_held(&self, queue: &str, id: &str, token: &str) -> bool {
        let lock = self.content(&key(queue, &format!("{id}:lock")));
        matches!(lock, Some(Content::Text(holder)) if holder == token) && self.ids(queue, "active").contains(&id)
    }

    /// Whether a queue has a setting.
    pub(crate) fn has_setting(&self, queue: &str, name: &str) -> bool {
        matches!(self.content(&key(queue, "meta")), Some(Content::Hash(fields)) if fields.contains_key(name))
    }

    /// Whether a queue has a key with this suffix.
    pub(crate) fn has(&self, queue: &str, suffix: &str) -> bool {
        self.keys.contains_key(&key(queue, suffix))
    }

    /// Whether a queue rests because it was told to.
    pub(crate) fn is_resting(&self, queue: &str) -> bool {
        matches!(self.content(&key(queue, "limiter")), Some(Content::Text(count)) if count == "9007199254740991")
    }

    /// Whether an option of a job is on.
    pub(crate) fn has_option(&self, queue: &str, id: &str, option: &str) -> bool {
        let Some(Content::Hash(fields)) = self.content(&key(queue, id)) else { return false };
        fields.get("opts").is_some_and(|opts| opts.contains(&format!("\"{option}\":true")))
    }

    /// Whether a job has a parent.
    pub(crate) fn has_parent(&self, queue: &str, id: &str) -> bool {
        matches!(self.content(&key(queue, id)), Some(Content::Hash(fields)) if fields.contains_key("parentKey"))
    }

    fn content(&self, key: &str) -> Option<&'a Content> {
        self.keys.get(key).map(|entry| &entry.content)
    }
}

/// A key of a queue.
pub(crate) fn key(queue: &str, suffix: &str) -> String {
    format!("bull:{queue}:{suffix}")
}
