//! What the jobs of a type get where whoever adds them says nothing.

use serde::{Deserialize, Serialize};

use crate::{Backoff, Keep, Priority, QueueName};

/// The defaults of a job type, camelCase in JSON. What is absent is left to the queue and the worker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Defaults {
    /// Where its jobs go when nobody names a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// Which of the jobs in a queue go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How many times a job may be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The wait between attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The codes of failures after which no attempt follows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_retried: Vec<String>,
    /// How long an attempt may run, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long a job may wait for its first attempt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// How long an attempt may be silent, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// What is kept of a completed job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_complete: Option<Keep>,
    /// What is kept of a failed job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_fail: Option<Keep>,
    /// How many jobs of the type run at a time on one worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}
