//! What operations are given: how jobs and schedulers are made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `add` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Add {
    /// The queue.
    pub queue: String,
    /// The job's name.
    pub name: String,
    /// The job's data.
    pub data: Option<Value>,
    /// The job's options in their public form.
    pub opts: Option<Value>,
    /// Binds the id to this name.
    #[serde(rename = "as")]
    pub bind: Option<String>,
}

/// What `addBulk` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddBulk {
    /// The queue.
    pub queue: String,
    /// The jobs.
    pub jobs: Vec<JobSpec>,
}

/// A job of `addBulk`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSpec {
    /// The job's name.
    pub name: String,
    /// The job's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// The job's options in their public form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opts: Option<Value>,
    /// Binds the id to this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "as")]
    pub bind: Option<String>,
}

/// What `addFlow` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddFlow {
    /// The tree: `{name, queueName, data, opts, children}`.
    pub flow: Value,
}

/// What `addFlows` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddFlows {
    /// The trees.
    pub flows: Vec<Value>,
}

/// What `upsertScheduler` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpsertScheduler {
    /// The queue.
    pub queue: String,
    /// The scheduler's id.
    pub scheduler: String,
    /// When: `{every | pattern, offset, tz, limit, startDate, endDate, immediately}`.
    pub repeat: Value,
    /// What: `{name, data, opts}`.
    pub template: Option<Value>,
    /// Binds the id of the pending job to this name.
    #[serde(rename = "as")]
    pub bind: Option<String>,
}

/// A scheduler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnScheduler {
    /// The queue.
    pub queue: String,
    /// The scheduler's id.
    pub scheduler: String,
}
