//! A keyspace as queues, states and jobs.

use std::collections::{BTreeMap, BTreeSet};

use crate::keyspace::{Content, Entry, Keyspace};

/// The states of the wire, by the suffixes of their keys. `paused` is the older place of what waits.
pub(super) const STATES: [&str; 8] =
    ["wait", "paused", "active", "prioritized", "delayed", "waiting-children", "completed", "failed"];

/// What the keys of a job end with, beside the job itself.
const PARTS_OF_JOBS: [&str; 6] = [":lock", ":logs", ":dependencies", ":processed", ":failed", ":unsuccessful"];

/// The fields of a hash.
pub(super) type Fields = BTreeMap<String, String>;

/// The keys of one queue by what follows its name.
#[derive(Debug)]
pub(super) struct QueueView<'a> {
    prefix: String,
    pub(super) name: &'a str,
    keys: BTreeMap<&'a str, &'a Entry>,
}

/// Every queue that has a key.
pub(super) fn queues<'a>(keys: &'a Keyspace, prefix: &str) -> Vec<QueueView<'a>> {
    let mut found: BTreeMap<&str, BTreeMap<&str, &Entry>> = BTreeMap::new();
    for (key, entry) in keys {
        let rest = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(':'));
        let Some((queue, suffix)) = rest.and_then(|rest| rest.split_once(':')) else { continue };
        // What we keep beside the wire is nobody's job.
        if !queue.is_empty() && !suffix.starts_with("operator:") {
            found.entry(queue).or_default().insert(suffix, entry);
        }
    }
    found.into_iter().map(|(name, keys)| QueueView { prefix: prefix.to_owned(), name, keys }).collect()
}

impl<'a> QueueView<'a> {
    pub(super) fn key(&self, suffix: &str) -> String {
        format!("{}:{}:{suffix}", self.prefix, self.name)
    }

    pub(super) fn entry(&self, suffix: &str) -> Option<&'a Entry> {
        self.keys.get(suffix).copied()
    }

    pub(super) fn text(&self, suffix: &str) -> Option<&'a str> {
        match &self.entry(suffix)?.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn hash(&self, suffix: &str) -> Option<&'a Fields> {
        match &self.entry(suffix)?.content {
            Content::Hash(fields) => Some(fields),
            _ => None,
        }
    }

    /// A field of the queue's settings.
    pub(super) fn setting(&self, name: &str) -> Option<&'a str> {
        self.hash("meta")?.get(name).map(String::as_str)
    }

    /// Members with their scores.
    pub(super) fn sorted(&self, suffix: &str) -> Vec<(&'a str, f64)> {
        match self.entry(suffix).map(|entry| &entry.content) {
            Some(Content::Sorted(members)) => {
                members.iter().map(|(id, score)| (id.as_str(), score.parse().unwrap_or(f64::NAN))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The members of a list, a set or a sorted set; the names of a hash.
    pub(super) fn members(&self, suffix: &str) -> Vec<&'a str> {
        match self.entry(suffix).map(|entry| &entry.content) {
            Some(Content::List(items)) => items.iter().map(String::as_str).collect(),
            Some(Content::Set(items)) => items.iter().map(String::as_str).collect(),
            Some(Content::Sorted(items)) => items.iter().map(|(id, _)| id.as_str()).collect(),
            Some(Content::Hash(fields)) => fields.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Suffixes that begin like this, by what follows.
    pub(super) fn beginning<'s>(&'s self, start: &'s str) -> impl Iterator<Item = (&'a str, &'a Entry)> + 's {
        self.keys.iter().filter_map(move |(suffix, entry)| Some((suffix.strip_prefix(start)?, *entry)))
    }

    /// Suffixes that end like this, by what goes before.
    pub(super) fn ending<'s>(&'s self, end: &'s str) -> impl Iterator<Item = (&'a str, &'a Entry)> + 's {
        self.keys.iter().filter_map(move |(suffix, entry)| Some((suffix.strip_suffix(end)?, *entry)))
    }

    /// Whether the job is in one of these states.
    pub(super) fn is_in(&self, id: &str, states: &[&str]) -> bool {
        states.iter().any(|state| self.members(state).contains(&id))
    }

    /// The jobs, with their fields.
    pub(super) fn jobs(&self) -> Vec<(&'a str, &'a Fields)> {
        let schedulers: BTreeSet<String> =
            self.members("repeat").into_iter().map(|scheduler| format!("repeat:{scheduler}")).collect();
        let is_job = |suffix: &str| {
            suffix != "meta"
                && !schedulers.contains(suffix)
                && !["metrics:", "dn:", "de:"].iter().any(|start| suffix.starts_with(start))
                && !PARTS_OF_JOBS.iter().any(|end| suffix.ends_with(end))
        };
        let hashes = self.keys.iter().filter_map(|(suffix, entry)| match &entry.content {
            Content::Hash(fields) => Some((*suffix, fields)),
            _ => None,
        });
        hashes.filter(|(suffix, _)| is_job(suffix)).collect()
    }
}

/// A field as a number.
pub(super) fn number(fields: &Fields, name: &str) -> Option<f64> {
    fields.get(name).and_then(|text| text.parse().ok())
}
