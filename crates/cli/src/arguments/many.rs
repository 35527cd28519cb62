//! The command line of operations on many jobs.

use clap::Args;
use operator_core::time::parse_iso;
use operator_core::{JobState, QueueName};

use super::{queue, state};

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,
    /// Put them first in line instead of last
    #[arg(long, conflicts_with = "all")]
    pub(crate) first: bool,
    /// Count their attempts from zero again
    #[arg(long, conflicts_with = "all")]
    pub(crate) reset_attempts: bool,
    /// Every job that failed, the oldest first; its attempts count on
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all: completed instead of failed jobs
    #[arg(long, conflicts_with = "ids", value_parser = state, default_value = "failed")]
    pub(crate) state: JobState,
    /// With --all: only jobs that finished then or before, as 2030-01-31T09:00:00Z or epoch milliseconds
    #[arg(long, conflicts_with = "ids", value_parser = moment)]
    pub(crate) before: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,
    /// Every delayed job, those that are due first before the others
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    /// Delayed jobs, too
    #[arg(long)]
    pub(crate) delayed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Clean {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    /// Only jobs that entered the state, or were added, this many milliseconds ago or earlier
    #[arg(long)]
    pub(crate) grace: u64,
    /// The state of the jobs
    #[arg(long, value_parser = state, default_value = "completed")]
    pub(crate) state: JobState,
    /// The most jobs removed [default: all]
    #[arg(long)]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Obliterate {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    /// The queue's name once more: everything in it will be gone
    #[arg(long)]
    pub(crate) confirm: String,
    /// Although jobs run
    #[arg(long)]
    pub(crate) force: bool,
}

/// Epoch milliseconds, from these or from ISO 8601.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    let read = text.parse().ok().or_else(|| parse_iso(text));
    read.ok_or_else(|| "give epoch milliseconds, or a time such as 2030-01-31T09:00:00Z".to_owned())
}
