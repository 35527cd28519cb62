//! What a worker serves and how.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use operator_core::{Failure, Job, JobOptions, Keep, QueueName};

use crate::error::QueueError;

/// How a worker claims and holds jobs. The defaults are BullMQ's. Times go from a millisecond to 100 years.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The queues it serves; at least one.
    pub queues: Vec<QueueName>,
    /// How many jobs run at a time, over all queues; at least one.
    pub concurrency: usize,
    /// The name it is listed and recorded under.
    pub name: Option<String>,
    /// How long a claim holds without renewal; renewed at a quarter of it.
    pub lock_duration: Duration,
    /// How often the workers of a queue look for jobs whose worker died.
    pub stalled_interval: Duration,
    /// How often a job may lose its worker before it fails.
    pub max_stalled: u32,
    /// What is kept of completed jobs that do not say themselves.
    pub keep_completed: Keep,
    /// What is kept of failed jobs that do not say themselves.
    pub keep_failed: Keep,
    /// How many history entries may wait per queue for a dispatcher; `None` leaves no history.
    pub history_max_entries: Option<u64>,
    /// For how many minutes the finished jobs of each are counted, as BullMQ's `metrics.maxDataPoints` does; `None`
    /// counts nothing.
    pub metrics_max_data_points: Option<u32>,
    /// How long an idle worker sleeps before it looks by itself, should a wake-up be lost.
    pub idle_wait: Duration,
    /// How many jobs of a queue may start in a stretch of time; the workers of the queue share one count. A limit of
    /// the queue's own goes before.
    pub limiter: Option<RateLimit>,
    /// How often a job may be started, however its attempts ended, before it fails.
    pub max_started_attempts: Option<u32>,
    /// How long an attempt may run of a job that does not say itself; `None` sets no limit.
    pub timeout: Option<Duration>,
    /// How long an attempt that was told to stop, because its job is cancelled or it passed a limit, may take for it
    /// before it is dropped.
    pub cancel_grace: Duration,
    /// The waits of jobs whose backoff has a type that is neither `fixed` nor `exponential`.
    pub backoff: Option<BackoffStrategy>,
}

/// So many jobs per stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many jobs may start: from 1 to 2^53 - 1.
    pub max: u64,
    /// Within this time: from 1 ms to 100 years.
    pub duration: Duration,
}

impl RateLimit {
    /// Refuses a limit that forbids everything or nothing.
    pub(crate) fn check(self) -> Result<(), QueueError> {
        let problem = |field| QueueError::InvalidArgument { field, problem: NO_LIMIT.to_owned() };
        if self.max == 0 {
            return Err(problem("limiter.max"));
        }
        if self.duration < SHORTEST {
            return Err(problem("limiter.duration"));
        }
        check_number("limiter.max", self.max)?;
        check_duration("limiter.duration", self.duration)
    }
}

const SHORTEST: Duration = Duration::from_millis(1);

/// The longest time that every command takes and no clock runs over.
pub(crate) const LONGEST: Duration = Duration::from_millis(JobOptions::MAX_DELAY_MS);

/// The largest number that Redis' scripts pass on exactly.
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Refuses a time that Redis or the clock cannot take.
pub(crate) fn check_duration(field: &'static str, duration: Duration) -> Result<(), QueueError> {
    if (SHORTEST..=LONGEST).contains(&duration) {
        return Ok(());
    }
    let problem = "must be a millisecond or more, and 100 years at most".to_owned();
    Err(QueueError::InvalidArgument { field, problem })
}

fn check_number(field: &'static str, number: u64) -> Result<(), QueueError> {
    if number <= MAX_NUMBER {
        return Ok(());
    }
    Err(QueueError::InvalidArgument { field, problem: format!("must be {MAX_NUMBER} at most") })
}

/// What to do about a limit of nothing, or in no time.
const NO_LIMIT: &str = "must be 1 or more; leave the limit out instead";

type Strategy = dyn Fn(&Job, u32, &Failure) -> Option<Duration> + Send + Sync;

/// Computes the wait before another attempt; see [`BackoffStrategy::new`].
#[derive(Clone)]
pub struct BackoffStrategy(Arc<Strategy>);

impl BackoffStrategy {
    /// `wait` is given the job, how many attempts it has made (1 after the first) and why the last one failed. It
    /// answers with the wait, or with `None` when no attempt shall follow. `job.opts.backoff` has the type's name. It is
    /// called once per failed attempt, on the thread of the worker's claim loop: it must not block.
    pub fn new(wait: impl Fn(&Job, u32, &Failure) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self(Arc::new(wait))
    }

    /// The wait, no attempt, or an error when the strategy panicked.
    pub(crate) fn wait_ms(
        &self,
        job: &Job,
        attempts_made: u32,
        failure: &Failure,
    ) -> Result<Option<u64>, StrategyPanicked> {
        // It runs on the thread that renews locks, which must outlive it.
        let wait = catch_unwind(AssertUnwindSafe(|| (self.0)(job, attempts_made, failure)));
        let wait = wait.map_err(|_| StrategyPanicked)?;
        Ok(wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(JobOptions::MAX_DELAY_MS)))
    }
}

/// A [`BackoffStrategy`] gave no answer.
pub(crate) struct StrategyPanicked;

impl fmt::Debug for BackoffStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackoffStrategy")
    }
}

/// A worker is listed on this many queues at most: each listing beyond the first holds a connection open.
pub(super) const MAX_PRESENCES: usize = 64;

/// In a cluster, a worker's queues have this many hash tags at most: it waits on each with a connection of its own.
pub(super) const MAX_SLOTS: usize = 64;

impl WorkerOptions {
    /// A worker of these queues that runs one job at a time.
    #[must_use]
    pub fn new(queues: impl IntoIterator<Item = QueueName>) -> Self {
        Self {
            queues: queues.into_iter().collect(),
            concurrency: 1,
            name: None,
            lock_duration: Duration::from_secs(30),
            stalled_interval: Duration::from_secs(30),
            max_stalled: 1,
            keep_completed: Keep::All,
            keep_failed: Keep::All,
            history_max_entries: None,
            metrics_max_data_points: None,
            idle_wait: Duration::from_secs(5),
            limiter: None,
            max_started_attempts: None,
            timeout: None,
            cancel_grace: Duration::from_secs(10),
            backoff: None,
        }
    }

    /// Refuses what no worker can do.
    pub(crate) fn check(&self) -> Result<(), QueueError> {
        if self.queues.is_empty() {
            let problem = "is empty: name at least one queue to serve".to_owned();
            return Err(QueueError::InvalidArgument { field: "queues", problem });
        }
        self.check_terms()
    }

    /// Refuses what Redis cannot take: a script that fails half-way may have taken a job out of its line.
    pub(crate) fn check_terms(&self) -> Result<(), QueueError> {
        if self.concurrency == 0 {
            let problem = "must be 1 or more: pause the worker instead".to_owned();
            return Err(QueueError::InvalidArgument { field: "concurrency", problem });
        }
        check_duration("lock_duration", self.lock_duration)?;
        check_duration("stalled_interval", self.stalled_interval)?;
        check_duration("idle_wait", self.idle_wait)?;
        self.timeout.map_or(Ok(()), |timeout| check_duration("timeout", timeout))?;
        check_duration("cancel_grace", self.cancel_grace)?;
        check_number("history_max_entries", self.history_max_entries.unwrap_or_default())?;
        self.limiter.map_or(Ok(()), RateLimit::check)
    }

    /// The same worker with this many slots.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }
}
