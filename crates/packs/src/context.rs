//! What a job sees while it runs.
//!
//! The worker makes one context per attempt. Where everything goes that a job reports is left to its [`JobHost`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use operator_core::{Callback, Failure, Job, JobId, Json, NewJob, QueueName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::host::{JobHost, Move};

/// What a job sees while it runs. Cheap to clone and to hand to the tasks a job starts.
#[derive(Clone)]
pub struct Context {
    job: Arc<Job>,
    host: Arc<dyn JobHost>,
    /// Shared with the worker, which cancels it; the job only listens.
    cancelled: CancellationToken,
    deadline: Option<Instant>,
}

impl Context {
    /// The context of one attempt of `job`, run by `host` until `cancelled`.
    #[must_use]
    pub fn new(job: impl Into<Arc<Job>>, host: Arc<dyn JobHost>, cancelled: CancellationToken) -> Self {
        Self { job: job.into(), host, cancelled, deadline: None }
    }

    /// The same attempt, which must have ended by `deadline`.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// When this attempt must have ended, if it must: what passes it is told to stop, and has failed.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The same in epoch milliseconds, for those outside this process.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        let left = u64::try_from(self.time_left()?.as_millis()).unwrap_or(u64::MAX);
        Some(now_ms().saturating_add(left))
    }

    /// How much time is left until the deadline, if there is one.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Shows that the job lives, for one that has a `heartbeatTimeoutMs`. Progress, logs and whatever else is asked of
    /// the worker show it, too. It costs next to nothing.
    pub fn heartbeat(&self) {
        self.host.heartbeat();
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

    /// Cancelled when the job is to stop: somebody cancelled it, it passed a time limit, or its worker hands it back or
    /// no longer owns it. Whatever it still does is in vain.
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

    /// Replaces the data of the job, for the attempts after this one: [`Context::data`] stays what the job was claimed
    /// with. A job that goes on in steps keeps here where it is.
    ///
    /// # Errors
    /// When `data` cannot be JSON, or the host could not store it.
    pub fn update_data(&self, data: impl Serialize) -> impl Future<Output = Result<(), Failure>> + Send {
        let encoded = Json::encode(&data);
        async move { self.host.update_data(encoded?).await }
    }

    /// Lets the job go on after `delay`, in an attempt that does not count: `return Err(context.move_to_delayed(d).await)`.
    /// The answer is what the function must return: that the job has moved, or why it could not.
    #[must_use = "the job has left its attempt: return this as its error"]
    pub async fn move_to_delayed(&self, delay: Duration) -> Failure {
        self.leave(Move::After(delay)).await
    }

    /// Like [`Context::move_to_delayed`], until `at_ms` in epoch milliseconds.
    #[must_use = "the job has left its attempt: return this as its error"]
    pub async fn move_to_delayed_until(&self, at_ms: u64) -> Failure {
        self.leave(Move::At(at_ms)).await
    }

    /// Puts the job back in line, first of its kind, in an attempt that does not count. The answer is what the function
    /// must return.
    #[must_use = "the job has left its attempt: return this as its error"]
    pub async fn move_to_wait(&self) -> Failure {
        self.leave(Move::Wait).await
    }

    /// Lets the whole queue rest for `pause` and puts the job back in line, in an attempt that does not count: for a job
    /// that was told to come later by whom it calls. The answer is what the function must return.
    #[must_use = "the job has left its attempt: return this as its error"]
    pub async fn rate_limit(&self, pause: Duration) -> Failure {
        self.leave(Move::RateLimited(pause)).await
    }

    /// Adds `child` to `queue`; it does not hold the job up before [`Context::wait_for_children`]. Give it an id of its
    /// own (`opts.jobId`), so that an attempt that is repeated does not add it twice.
    ///
    /// # Errors
    /// When `queue` cannot be a queue's name, or the host could not add the child.
    pub async fn add_child(&self, queue: &str, child: NewJob) -> Result<JobId, Failure> {
        let queue = QueueName::new(queue).map_err(|error| Failure::unrecoverable(error.to_string()))?;
        self.host.add_child(queue, child).await
    }

    /// Goes on when no child is unfinished. Otherwise the job waits for them and starts anew, in an attempt that does not
    /// count: `context.wait_for_children().await?` then leaves the function.
    ///
    /// # Errors
    /// [`Failure::moved`] when the job waits, which the function must return; an unrecoverable failure when a child
    /// failed whose failure is the job's; others when the host could not move the job.
    pub async fn wait_for_children(&self) -> Result<(), Failure> {
        if self.host.leave(Move::WaitingChildren).await? { Err(Failure::moved()) } else { Ok(()) }
    }

    /// What the children that completed returned, by their keys (`<prefix>:<queue>:<id>`). [`Json`] is the `T` that
    /// takes any result.
    ///
    /// # Errors
    /// An unrecoverable failure when a result is no `T`; others when the host could not read them.
    pub async fn children_values<T: DeserializeOwned>(&self) -> Result<BTreeMap<String, T>, Failure> {
        let values = self.host.children_values().await?;
        let decode = |(key, value): (String, Json)| match value.decode() {
            Ok(value) => Ok((key, value)),
            Err(error) => Err(Failure::unrecoverable(format!("the result of the child {key} does not fit: {error}"))),
        };
        values.into_iter().map(decode).collect()
    }

    /// What this attempt waits with for a service to call back within `within`: the same callback each time the attempt
    /// is run, with what came of it. Tell the service its token, and then leave with [`Context::wait_for_callback`].
    ///
    /// # Errors
    /// When the host could not store it.
    pub async fn expect_callback(&self, within: Duration) -> Result<Callback, Failure> {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.host.expect_callback(now_ms().saturating_add(within_ms)).await
    }

    /// Parks the job, without a slot, until its callback comes or expires; it is then run again in this attempt. The
    /// answer is what the function must return.
    #[must_use = "the job has left its attempt: return this as its error"]
    pub async fn wait_for_callback(&self, callback: &Callback) -> Failure {
        self.host.wait_for_callback(callback.expires_ms).await.err().unwrap_or_else(Failure::moved)
    }

    /// The attempt as a W3C `traceparent`, if it is traced.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.host.traceparent()
    }

    async fn leave(&self, to: Move) -> Failure {
        self.host.leave(to).await.err().unwrap_or_else(Failure::moved)
    }

    /// What an executor that noticed the cancellation reports: the work is unfinished, not wrong.
    pub(crate) fn stopped(&self) -> Failure {
        Failure::retryable(format!("`{}` was stopped before its end: its worker gave the job up", self.name()))
    }
}

/// The time of this worker, epoch milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
