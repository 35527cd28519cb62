//! What a worker publishes of itself, and what is remembered of a job type when no worker is left that runs it.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::{JobTypeInfo, PackInfo};
use crate::QueueName;

/// What a live worker runs, camelCase in JSON. The schemas of its job types are in their [`JobTypeRecord`]s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advert {
    /// The worker, unique for each start of a process.
    pub id: String,
    /// The name it is listed and recorded under.
    pub name: String,
    /// The queues it serves.
    pub queues: Vec<QueueName>,
    /// Its packs.
    #[serde(default)]
    pub packs: Vec<PackInfo>,
    /// The job types it runs that belong to no pack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub job_types: Vec<String>,
    /// Whether it runs jobs of every other name, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_name: bool,
    /// When it started, epoch milliseconds.
    pub started_ms: u64,
}

impl Advert {
    /// Whether the worker runs jobs called `name`.
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        self.any_name || self.provides(name)
    }

    /// Whether the worker lists `name`.
    #[must_use]
    pub fn provides(&self, name: &str) -> bool {
        self.job_types.iter().any(|own| own == name) || self.packs.iter().any(|pack| pack.job_types.contains_key(name))
    }

    /// What is to be remembered of its job types.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, JobTypeRecord> {
        let alone = self.job_types.iter().map(|name| (name.clone(), JobTypeRecord::default()));
        let of_packs = self.packs.iter().flat_map(|pack| {
            pack.job_types.iter().map(|(name, info)| (name.clone(), JobTypeRecord::of(pack, info.clone())))
        });
        alone.chain(of_packs).collect()
    }

    /// The same without the schemas of its job types, which are long and in their records.
    #[must_use]
    pub fn without_schemas(mut self) -> Self {
        for info in self.packs.iter_mut().flat_map(|pack| pack.job_types.values_mut()) {
            (info.input, info.output) = (None, None);
        }
        self
    }
}

/// A job type that a worker has provided at some time, camelCase in JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobTypeRecord {
    /// The pack it belongs to; none for a function that a program registered by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
    /// The version of that pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What it takes and gives. Not flattened: the text of a schema would not survive that.
    #[serde(default)]
    pub info: JobTypeInfo,
}

impl JobTypeRecord {
    fn of(pack: &PackInfo, info: JobTypeInfo) -> Self {
        Self { pack: Some(pack.id.clone()), version: Some(pack.version.clone()), info }
    }

    /// Whether this is to take the place of `recorded`. A higher version of the same pack always does. What differs
    /// otherwise (another pack, or the same version with other words) does when a worker starts, and not when it renews:
    /// so two workers that do not agree do not write for ever.
    #[must_use]
    pub fn replaces(&self, recorded: &Self, is_start: bool) -> bool {
        if self.pack == recorded.pack {
            return self.version > recorded.version
                || (is_start && self.version == recorded.version && self != recorded);
        }
        is_start && self.pack.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pack: Option<&str>, version: &str, description: &str) -> JobTypeRecord {
        JobTypeRecord {
            pack: pack.map(str::to_owned),
            version: pack.map(|_| version.parse().unwrap()),
            info: JobTypeInfo { description: description.to_owned(), ..JobTypeInfo::default() },
        }
    }

    #[test]
    fn the_highest_version_of_a_pack_is_remembered_whoever_comes_first() {
        let (old, new) = (record(Some("a"), "1.9.0", ""), record(Some("a"), "1.10.0", ""));
        for is_start in [true, false] {
            assert!(new.replaces(&old, is_start) && !old.replaces(&new, is_start) && !new.replaces(&new, is_start));
        }
    }

    #[test]
    fn what_differs_otherwise_is_decided_once_by_who_started_last() {
        let pairs = [
            (record(Some("a"), "1.0.0", "one"), record(Some("a"), "1.0.0", "other")),
            (record(Some("a"), "1.0.0", ""), record(Some("b"), "0.1.0", "")),
        ];
        for (one, other) in pairs {
            assert!(one.replaces(&other, true) && other.replaces(&one, true));
            assert!(!one.replaces(&other, false) && !other.replaces(&one, false));
        }
        let bare = record(None, "", "");
        let packed = record(Some("a"), "1.0.0", "");
        assert!(packed.replaces(&bare, true) && !bare.replaces(&packed, true), "a pack knows more than a name");
    }

    #[test]
    fn a_worker_runs_what_it_lists_or_everything() {
        let text = r#"{"id":"w","name":"n","queues":["q"],"packs":[{"id":"a","version":"1.0.0","jobTypes":{"a.b":{"input":true}}}],"jobTypes":["c"],"startedMs":1}"#;
        let advert: Advert = serde_json::from_str(text).unwrap();
        assert!(advert.runs("a.b") && advert.runs("c") && !advert.runs("d"));
        assert!(Advert { any_name: true, ..advert.clone() }.runs("d"));
        let records = advert.records();
        assert_eq!((records.len(), records["a.b"].pack.as_deref(), records["c"].pack.as_deref()), (2, Some("a"), None));
        let read: JobTypeRecord = serde_json::from_str(&serde_json::to_string(&records["a.b"]).unwrap()).unwrap();
        assert_eq!(read.info.input.unwrap().as_str(), "true");
        assert!(advert.without_schemas().packs[0].job_types["a.b"].input.is_none());
    }
}
