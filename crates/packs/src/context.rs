//! What a job sees while it runs, and what that asks of whoever runs it.
//!
//! The worker makes one context per attempt. Where progress and log lines go is left to its [`JobHost`].

use std::sync::Arc;

use futures::future::BoxFuture;
use operator_core::{Failure, Job, Json};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// What a context needs from whoever runs the job.
pub trait JobHost: Send + Sync {
    /// Replaces the progress of the job.
    ///
    /// An error means that the progress was not stored, usually because the job now belongs to another worker.
    fn update_progress(&self, progress: Json) -> BoxFuture<'_, Result<(), Failure>>;

    /// Appends a line to the log of the job.
    fn log(&self, line: String) -> BoxFuture<'_, Result<(), Failure>>;
}

/// What a job sees while it runs. Cheap to clone and to hand to the tasks a job starts.
#[derive(Clone)]
pub struct Context {
    job: Arc<Job>,
    host: Arc<dyn JobHost>,
    /// Shared with the worker, which cancels it; the job only listens.
    cancelled: CancellationToken,
}

impl Context {
    /// The context of one attempt of `job`, run by `host` until `cancelled`.
    #[must_use]
    pub fn new(job: impl Into<Arc<Job>>, host: Arc<dyn JobHost>, cancelled: CancellationToken) -> Self {
        Self { job: job.into(), host, cancelled }
    }

    /// The job as it stood when it was claimed.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The queue the job belongs to.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.job.queue.as_str()
    }

    /// The id of the job, unique within its queue.
    #[must_use]
    pub fn job_id(&self) -> &str {
        self.job.id.as_str()
    }

    /// The name of the job, which picked the executor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.job.name
    }

    /// The number of this attempt, 1 for the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.job.attempts_made.saturating_add(1)
    }

    /// How many attempts ended before this one. An attempt that was handed back or lost its worker does not count.
    #[must_use]
    pub fn attempts_made(&self) -> u32 {
        self.job.attempts_made
    }

    /// How many attempts the job may have in all, at least 1.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.job.opts.attempts.max(1)
    }

    /// What the job works on.
    #[must_use]
    pub fn data(&self) -> &Json {
        &self.job.data
    }

    /// When the job was created, epoch milliseconds.
    #[must_use]
    pub fn timestamp_ms(&self) -> u64 {
        self.job.timestamp_ms
    }

    /// Cancelled when the worker hands the job back or no longer owns it: whatever the job still does is in vain.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Reports progress: a number, or any object; each report replaces the one before.
    ///
    /// # Errors
    /// When `progress` cannot be JSON, or the host could not store it.
    pub fn progress(&self, progress: impl Serialize) -> impl Future<Output = Result<(), Failure>> + Send {
        let encoded = Json::encode(&progress);
        async move { self.host.update_progress(encoded?).await }
    }

    /// Appends `line` to the log of the job.
    ///
    /// # Errors
    /// When the host could not store it.
    pub async fn log(&self, line: &str) -> Result<(), Failure> {
        self.host.log(line.to_owned()).await
    }

    /// What an executor that noticed the cancellation reports: the work is unfinished, not wrong.
    pub(crate) fn stopped(&self) -> Failure {
        Failure::retryable(format!("`{}` was stopped before its end: its worker gave the job up", self.name()))
    }
}
