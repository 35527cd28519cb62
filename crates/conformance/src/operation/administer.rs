//! What operations are given: changing what is in a queue by hand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnQueue {
    /// The queue.
    pub queue: String,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnJob {
    /// The queue.
    pub queue: String,
    /// Its id.
    pub id: String,
}

/// A deduplication id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnDeduplication {
    /// The queue.
    pub queue: String,
    /// The id.
    pub deduplication: String,
}

/// What `setGlobalConcurrency` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetGlobalConcurrency {
    /// The queue.
    pub queue: String,
    /// How many jobs.
    pub concurrency: u64,
}

/// What `setGlobalRateLimit` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetGlobalRateLimit {
    /// The queue.
    pub queue: String,
    /// How many jobs.
    pub max: u64,
    /// Per how many milliseconds.
    pub duration: u64,
}

/// What `rateLimit` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// The queue.
    pub queue: String,
    /// For how many milliseconds.
    pub ms: u64,
}

/// What `drain` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// The queue.
    pub queue: String,
    /// Also what is delayed.
    #[serde(default)]
    pub delayed: bool,
}

/// What `clean` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clean {
    /// The queue.
    pub queue: String,
    /// Younger jobs than this many milliseconds are kept.
    pub grace: u64,
    /// How many are removed at most; 0 for all.
    pub limit: u64,
    /// The state.
    pub state: String,
}

/// What `obliterate` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Obliterate {
    /// The queue.
    pub queue: String,
    /// Also when jobs run.
    #[serde(default)]
    pub force: bool,
}

/// What `retryJobs` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryJobs {
    /// The queue.
    pub queue: String,
    /// `failed`, which is also meant without it, or `completed`.
    pub state: Option<String>,
    /// Only jobs that finished until then, epoch milliseconds.
    pub timestamp: Option<u64>,
}

/// What `retryJob` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryJob {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// `failed`, which is also meant without it, or `completed`.
    pub state: Option<String>,
    /// Counts its attempts anew.
    #[serde(default)]
    pub reset_attempts_made: bool,
    /// Counts its starts anew.
    #[serde(default)]
    pub reset_attempts_started: bool,
}

/// What `changeDelay` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeDelay {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// Milliseconds from now.
    pub delay: u64,
}

/// What `changePriority` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePriority {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// Its new priority.
    pub priority: u64,
    /// First of its priority.
    #[serde(default)]
    pub lifo: bool,
}

/// What `remove` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remove {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// Leaves its children.
    #[serde(default)]
    pub keep_children: bool,
}

/// What `trimEvents` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrimEvents {
    /// The queue.
    pub queue: String,
    /// How many are kept, roughly.
    pub max: u64,
}

/// What `publishEvent` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishEvent {
    /// The queue.
    pub queue: String,
    /// The event's name.
    pub event: String,
    /// Its other fields.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// How many events are kept, roughly.
    pub max_events: Option<u64>,
}
