//! What a pack is to those who do not run it: its name and version, its job types, what they take and what they default
//! to. Workers publish it, dispatchers and programs read it. How a job type is run is told in `operator-packs`.

mod advert;
mod defaults;
mod schema;

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::Json;

pub use advert::{Advert, JobTypeRecord};
pub use defaults::Defaults;
pub use schema::{BadSchema, Mismatch, Schema};

/// A pack as a worker advertises it, camelCase in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackInfo {
    /// Its identity, the same in every version.
    pub id: String,
    /// Which state of it.
    pub version: Version,
    /// What people call it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it says it can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Packs that a worker must have beside it, each an id and, after a space, which versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Its job types by name.
    #[serde(default)]
    pub job_types: BTreeMap<String, JobTypeInfo>,
}

/// A job type as a worker advertises it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobTypeInfo {
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The JSON Schema of the data of its jobs; any data when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// The JSON Schema of their results; any result when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// What its jobs get where whoever adds them says nothing.
    #[serde(default)]
    pub defaults: Defaults,
    /// The protections without which no worker runs it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Protection>,
}

/// A protection that a job type may demand of the worker that runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// Only the files it names can be read or written.
    Filesystem,
    /// Only the ports it names can be connected or bound.
    Network,
    /// Calls to the system that no job needs are refused, and none of its processes can get away.
    Syscalls,
    /// No signal of it reaches a process outside.
    Signals,
    /// It runs as a user of its own, which has nothing else.
    User,
}

impl Protection {
    /// Every protection, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Filesystem, Self::Network, Self::Syscalls, Self::Signals, Self::User];

    /// The word for it in manifests and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Network => "network",
            Self::Syscalls => "syscalls",
            Self::Signals => "signals",
            Self::User => "user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_reads_back_the_same_and_says_only_what_is_known() {
        let text = r#"{"id":"a","version":"1.2.0","jobTypes":{"a.b":{"input":{"type": "object"},"defaults":{"attempts":3},"requires":["network"]}}}"#;
        let pack: PackInfo = serde_json::from_str(text).unwrap();
        assert_eq!(pack.job_types["a.b"].requires, [Protection::Network]);
        assert_eq!(serde_json::to_string(&pack).unwrap(), text);
    }

    #[test]
    fn what_a_later_release_adds_is_ignored() {
        let text = r#"{"id":"a","version":"1.2.0","jobTypes":{"a.b":{"colour":1,"defaults":{"mood":2}}},"more":true}"#;
        assert!(serde_json::from_str::<PackInfo>(text).is_ok());
    }
}
