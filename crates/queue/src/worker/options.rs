//! What a worker serves and how.

use std::time::Duration;

use operator_core::{Keep, QueueName};

/// How a worker claims and holds jobs. The defaults are BullMQ's.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The queues it serves; at least one.
    pub queues: Vec<QueueName>,
    /// How many jobs run at a time, over all queues.
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
    /// How long an idle worker sleeps before it looks by itself, should a wake-up be lost.
    pub idle_wait: Duration,
}

/// A worker is listed on this many queues at most: each listing beyond the first holds a connection open.
pub(super) const MAX_PRESENCES: usize = 64;

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
            idle_wait: Duration::from_secs(5),
        }
    }

    /// The same worker with this many slots.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }
}
