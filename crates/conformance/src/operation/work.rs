//! What operations are given: workers and what they do with the jobs they hold.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `worker` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Worker {
    /// What later operations call it.
    pub worker: String,
    /// The queue it serves.
    pub queue: String,
    /// How it works.
    #[serde(default)]
    pub options: WorkerSpec,
}

/// The options of a worker under BullMQ's names.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerSpec {
    /// The name that claims are recorded under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For how many milliseconds a claim holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_duration: Option<u64>,
    /// How many milliseconds lie between two looks for stalled jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled_interval: Option<u64>,
    /// How often a job may stall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_stalled_count: Option<u32>,
    /// How often a job may be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_started_attempts: Option<u32>,
    /// How many jobs it starts per duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limiter: Option<Rate>,
    /// Counts finished jobs per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,
    /// What is kept of completed jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_complete: Option<Value>,
    /// What is kept of failed jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_fail: Option<Value>,
}

/// So many jobs per duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// The jobs.
    pub max: u64,
    /// The duration in milliseconds.
    pub duration: u64,
}

/// How a worker counts per minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsSpec {
    /// How many minutes are kept.
    pub max_data_points: u64,
}

/// What `claim` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Claim {
    /// Who claims.
    pub worker: String,
    /// The lock's token.
    pub token: String,
    /// Binds the held job, and its id, to this name.
    #[serde(rename = "as")]
    pub bind: String,
}

/// The claim that follows an outcome in the same step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Next {
    /// Binds the held job, and its id, to this name.
    #[serde(rename = "as")]
    pub bind: String,
}

/// What `complete` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Complete {
    /// The held job.
    pub job: String,
    /// Its result.
    pub result: Option<Value>,
    /// Claims another job in the same step.
    pub next: Option<Next>,
}

/// What `fail` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fail {
    /// The held job.
    pub job: String,
    /// Why it failed.
    pub message: String,
    /// Where, line by line.
    #[serde(default)]
    pub stack: Vec<String>,
    /// It is not tried again, whatever its options say.
    #[serde(default)]
    pub unrecoverable: bool,
    /// Claims another job in the same step.
    pub next: Option<Next>,
}

/// What `moveToDelayed` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveToDelayed {
    /// The held job.
    pub job: String,
    /// For how many milliseconds from now.
    pub delay: u64,
}

/// A held job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnHeld {
    /// The name its claim bound.
    pub job: String,
}

/// What `extendLock` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtendLock {
    /// The held job.
    pub job: String,
    /// For how many milliseconds from now.
    pub duration: u64,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnWorker {
    /// What `worker` called it.
    pub worker: String,
}

/// What `updateProgress` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateProgress {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// How far it has come.
    pub progress: Value,
}

/// What `updateData` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateData {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// Its new data.
    pub data: Value,
}

/// What `log` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Log {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// The line.
    pub line: String,
    /// The newest this many are kept.
    pub keep_logs: Option<u32>,
}

/// What `clearLogs` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClearLogs {
    /// The queue.
    pub queue: String,
    /// The job.
    pub id: String,
    /// The newest this many are kept; none without it.
    pub keep: Option<u32>,
}
