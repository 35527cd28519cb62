//! What operations are given: looking at a queue, and moving the stage around it.

use serde::{Deserialize, Serialize};

/// What `getRateLimitTtl` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetRateLimitTtl {
    /// The queue.
    pub queue: String,
    /// The limit to compare with; the queue's own without it.
    pub max_jobs: Option<u64>,
}

/// What `getLogs` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetLogs {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// The first position.
    #[serde(default)]
    pub start: u64,
    /// The last position.
    pub end: u64,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Page {
    /// The queue.
    pub queue: String,
    /// The first position.
    #[serde(default)]
    pub start: u64,
    /// The last position.
    pub end: u64,
    /// Smallest or oldest first.
    #[serde(default)]
    pub asc: bool,
}

/// What `getJobs` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetJobs {
    /// The queue.
    pub queue: String,
    /// The states.
    pub types: Vec<String>,
    /// The first position.
    #[serde(default)]
    pub start: u64,
    /// The last position.
    pub end: u64,
    /// Oldest first.
    #[serde(default)]
    pub asc: bool,
}

/// What `getCountsPerPriority` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetCountsPerPriority {
    /// The queue.
    pub queue: String,
    /// The priorities.
    pub priorities: Vec<u64>,
}

/// What `getFlow` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetFlow {
    /// The queue.
    pub queue: String,
    /// The job at the top.
    pub id: String,
    /// How many levels.
    pub depth: Option<u32>,
    /// How many children of each job.
    pub max_children: Option<u32>,
}

/// What `getMetrics` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetMetrics {
    /// The queue.
    pub queue: String,
    /// `completed` or `failed`.
    pub kind: String,
    /// The first minute back.
    #[serde(default)]
    pub start: u64,
    /// The last minute back.
    pub end: u64,
}

/// What `clock` is given: one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clock {
    /// By so many milliseconds.
    pub advance: Option<u64>,
    /// To this time, epoch milliseconds.
    pub set: Option<u64>,
}

/// What `expire` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expire {
    /// The key.
    pub key: String,
}

/// What `raw` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Raw {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Only on this database, 0 for BullMQ's and 1 for ours: to see whether the comparison finds it.
    pub database: Option<u8>,
}
