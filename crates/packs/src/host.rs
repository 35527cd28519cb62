//! What a context asks of whoever runs its job: a worker, or a rehearsal.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use operator_core::{Callback, Failure, JobId, Json, NewJob, QueueName};

/// Where a job goes that leaves its attempt by its own wish. The attempt does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// To delayed, for this long.
    After(Duration),
    /// To delayed, until this time in epoch milliseconds.
    At(u64),
    /// Back in line, first of its kind.
    Wait,
    /// Back in line, while the whole queue rests for this long.
    RateLimited(Duration),
    /// Behind its children, until all of them have finished.
    WaitingChildren,
}

/// What a context needs from whoever runs the job. An error means that nothing was done, usually because the job now
/// belongs to another worker.
pub trait JobHost: Send + Sync {
    /// Replaces the progress of the job.
    fn update_progress(&self, progress: Json) -> BoxFuture<'_, Result<(), Failure>>;

    /// The job lives.
    fn heartbeat(&self) {}

    /// Appends a line to the log of the job.
    fn log(&self, line: String) -> BoxFuture<'_, Result<(), Failure>>;

    /// Replaces the data of the job, for the attempts after this one.
    fn update_data(&self, data: Json) -> BoxFuture<'_, Result<(), Failure>>;

    /// Takes the job out of its attempt, and says whether it has left: one that has no unfinished children does not
    /// wait for any.
    fn leave(&self, to: Move) -> BoxFuture<'_, Result<bool, Failure>>;

    /// Adds a job that this one can wait for.
    fn add_child(&self, queue: QueueName, child: NewJob) -> BoxFuture<'_, Result<JobId, Failure>>;

    /// What the children that completed returned, by their keys (`<prefix>:<queue>:<id>`).
    fn children_values(&self) -> BoxFuture<'_, Result<BTreeMap<String, Json>, Failure>>;

    /// What this attempt waits with for a service to call back: a new callback that expires at `expires_ms` (epoch
    /// milliseconds), or the one it has already, with what came of it.
    fn expect_callback(&self, expires_ms: u64) -> BoxFuture<'_, Result<Callback, Failure>>;

    /// Parks the job until its callback comes, or `expires_ms`. The attempt does not end.
    fn wait_for_callback(&self, expires_ms: u64) -> BoxFuture<'_, Result<(), Failure>>;

    /// The attempt as a W3C `traceparent`, if it is traced.
    fn traceparent(&self) -> Option<String>;
}
