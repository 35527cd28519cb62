//! Changing what is in a queue by hand: one job or all of them.
//!
//! What may concern any number of jobs is done in steps of at most [`STEP`] jobs, so that the server answers others in
//! between. Each step leaves the queue as if the jobs it was about had been dealt with one by one: dropping the future
//! between two steps stops the operation there.

mod bulk;
mod cancel;
mod clean;
mod dedup;
mod events;
mod expire;
mod flow;
mod jobs;
mod keyspace;
mod obliterate;
mod orphans;
mod pause;
mod retry;

pub use bulk::MAX_STEP;
pub use cancel::{CancelOptions, CancelStage, Cancellation};
pub use expire::Expiry;
pub use flow::RemoveOptions;
pub use retry::RetryOptions;

/// How many jobs one step looks at: a thousand take Redis some ten milliseconds.
const STEP: u64 = 1000;

/// How far an operation on many jobs has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The jobs that were removed, or put back in line, so far.
    pub jobs: u64,
    /// Whether it has ended.
    pub done: bool,
}
