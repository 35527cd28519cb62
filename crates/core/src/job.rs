//! A job on its way into a queue, and a job as it stands in one.

use serde::{Deserialize, Serialize};

use crate::{JobId, JobOptions, JobState, JobStatus, Json, QueueName};

/// A job to add.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// Picks the job type that runs it.
    pub name: String,
    /// What the job works on.
    #[serde(default)]
    pub data: Json,
    /// How it wants to be run.
    #[serde(default, alias = "options")]
    pub opts: JobOptions,
}

impl NewJob {
    /// A job called `name` that works on `data`, with default options.
    #[must_use]
    pub fn new(name: impl Into<String>, data: impl Into<Json>) -> Self {
        Self { name: name.into(), data: data.into(), opts: JobOptions::default() }
    }

    /// The same job with other options.
    #[must_use]
    pub fn with(mut self, opts: JobOptions) -> Self {
        self.opts = opts;
        self
    }
}

/// A job as its hash in the queue describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The queue it belongs to.
    pub queue: QueueName,
    /// Its id.
    pub id: JobId,
    /// Picks the job type that runs it.
    pub name: String,
    /// What it works on.
    pub data: Json,
    /// Its options, as far as we know them.
    pub opts: JobOptions,
    /// Its options as they stand on the wire, with those we do not know.
    pub wire_opts: Json,
    /// Creation time, epoch milliseconds.
    pub timestamp_ms: u64,
    /// The delay it was last given, milliseconds; 0 once promoted.
    pub delay_ms: u64,
    /// The priority it has now.
    pub priority: u32,
    /// Attempts that ended, with success or failure.
    pub attempts_made: u32,
    /// Attempts that began, including those given back or lost.
    pub attempts_started: u32,
    /// How often its worker went silent.
    pub stalled: u32,
    /// When it was last claimed, epoch milliseconds.
    pub processed_ms: Option<u64>,
    /// When it finished, epoch milliseconds.
    pub finished_ms: Option<u64>,
    /// The name of the worker that last claimed it.
    pub processed_by: Option<String>,
    /// What the job last reported of its progress.
    pub progress: Option<Json>,
    /// Its result, once completed.
    pub return_value: Option<Json>,
    /// Why its last attempt failed.
    pub failed_reason: Option<String>,
    /// One entry per failed attempt that had a stack.
    pub stacktrace: Vec<String>,
    /// A reason for which the next claim must fail it without running it.
    pub deferred_failure: Option<String>,
    /// The full key of its parent job.
    pub parent_key: Option<String>,
    /// The id of the scheduler that made it.
    pub scheduler_id: Option<String>,
    /// Its deduplication id.
    pub deduplication_id: Option<String>,
    /// That it is to be cancelled, or was: the reason as it stands in `failed_reason` then.
    pub cancelled: Option<String>,
    /// When it was last put back in line by hand, if it has a time to be started by; epoch milliseconds.
    pub restarted_ms: Option<u64>,
}

impl Job {
    /// Why a job failed that lost its worker too often, in the words of the wire.
    pub const STALLED_TOO_OFTEN: &str = "job stalled more than allowable limit";

    /// A job of which nothing is known but where it is.
    #[must_use]
    pub fn blank(queue: QueueName, id: JobId) -> Self {
        Self {
            queue,
            id,
            name: String::new(),
            data: Json::null(),
            opts: JobOptions::default(),
            wire_opts: Json::null(),
            timestamp_ms: 0,
            delay_ms: 0,
            priority: 0,
            attempts_made: 0,
            attempts_started: 0,
            stalled: 0,
            processed_ms: None,
            finished_ms: None,
            processed_by: None,
            progress: None,
            return_value: None,
            failed_reason: None,
            stacktrace: Vec::new(),
            deferred_failure: None,
            parent_key: None,
            scheduler_id: None,
            deduplication_id: None,
            cancelled: None,
            restarted_ms: None,
        }
    }

    /// What users are told of a job that is in `state`. One that ended because it was cancelled says so; one that ended
    /// for another reason although it was to be cancelled does not.
    #[must_use]
    pub fn status(&self, state: JobState) -> JobStatus {
        let is_cancelled = self.cancelled.is_some() && self.cancelled == self.failed_reason;
        match state.status(self.attempts_made) {
            JobStatus::Failed if is_cancelled => JobStatus::Cancelled,
            status => status,
        }
    }

    /// Whether it failed because its workers died of it, or seemed to: it was given up to no other.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.finished_ms.is_some() && self.failed_reason.as_deref() == Some(Self::STALLED_TOO_OFTEN)
    }

    /// The last moment at which it may be started for the first time, epoch milliseconds.
    #[must_use]
    pub fn expires_ms(&self) -> Option<u64> {
        self.opts.expires_ms(self.timestamp_ms.saturating_add(self.opts.delay_ms), self.restarted_ms)
    }
}
