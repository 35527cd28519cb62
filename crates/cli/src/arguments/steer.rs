//! The command line of what goes on by itself: schedulers and limits.

use clap::{Args, Subcommand};
use operator_core::QueueName;

use super::many::moment;
use super::queue;

#[derive(Debug, Subcommand)]
pub(crate) enum Schedulers {
    /// List the schedulers of a queue, those that are due first before the others
    List {
        #[arg(value_parser = queue)]
        queue: QueueName,
        /// The most schedulers listed
        #[arg(long, default_value_t = 100)]
        limit: u64,
    },
    /// Make a scheduler, or give it another schedule
    Upsert(Box<Upsert>),
    /// End schedulers and remove their pending jobs
    Remove {
        #[arg(value_parser = queue)]
        queue: QueueName,
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Make the next job of schedulers that have stopped
    Repair {
        #[arg(value_parser = queue)]
        queue: QueueName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Upsert {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    pub(crate) id: String,
    /// Milliseconds between two jobs
    #[arg(long, required_unless_present = "pattern", conflicts_with = "pattern")]
    pub(crate) every: Option<u64>,
    /// A cron pattern of five fields, or six with seconds first
    #[arg(long)]
    pub(crate) pattern: Option<String>,
    /// The time zone of the pattern [default: UTC]
    #[arg(long, conflicts_with = "every")]
    pub(crate) tz: Option<String>,
    /// Shifts the slots of --every, in milliseconds
    #[arg(long, conflicts_with = "pattern")]
    pub(crate) offset: Option<u64>,
    /// The most jobs made
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// No job is due before it: epoch milliseconds or 2030-01-31T09:00:00Z
    #[arg(long, value_parser = moment)]
    pub(crate) start: Option<u64>,
    /// No job is made after it, in the same forms
    #[arg(long, value_parser = moment)]
    pub(crate) end: Option<u64>,
    /// The first job of a pattern is due at once
    #[arg(long, conflicts_with = "every")]
    pub(crate) immediately: bool,
    /// Picks the job type that runs the jobs [default: the scheduler's id]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What the jobs work on: JSON, @FILE with JSON in it, or - for standard input [default: {}]
    #[arg(long)]
    pub(crate) data: Option<String>,
    /// How they want to be run, as JSON: {"attempts":3,…}
    #[arg(long)]
    pub(crate) opts: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Limits {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    /// How many jobs may run at a time, over all workers; `none` takes the limit off
    #[arg(long, value_parser = number)]
    pub(crate) concurrency: Option<Limit<u64>>,
    /// How many jobs may start in how many milliseconds, as 100/1000; `none` takes the limit off
    #[arg(long, value_parser = rate)]
    pub(crate) rate: Option<Limit<(u64, u64)>>,
    /// Let no job start for so many milliseconds; `none` ends the rest
    #[arg(long, value_parser = number)]
    pub(crate) rest: Option<Limit<u64>>,
}

/// A limit to set, or to take off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit<T> {
    Set(T),
    None,
}

fn number(text: &str) -> Result<Limit<u64>, String> {
    if text == "none" {
        return Ok(Limit::None);
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Limit::Set).ok_or_else(|| "give a whole number from 1 on, or none".to_owned())
}

fn rate(text: &str) -> Result<Limit<(u64, u64)>, String> {
    if text == "none" {
        return Ok(Limit::None);
    }
    let positive = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let rate = text.split_once('/').and_then(|(max, duration)| Some((positive(max)?, positive(duration)?)));
    rate.map(Limit::Set).ok_or_else(|| "give jobs/milliseconds, such as 100/1000, or none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_none() {
        assert_eq!(number("5"), Ok(Limit::Set(5)));
        assert_eq!(number("none"), Ok(Limit::None));
        assert_eq!(rate("100/1000"), Ok(Limit::Set((100, 1000))));
        assert_eq!(rate("none"), Ok(Limit::None));
        for bad in ["0", "-1", "x", ""] {
            assert!(number(bad).is_err() && rate(bad).is_err() && rate(&format!("5/{bad}")).is_err(), "{bad}");
        }
    }
}
