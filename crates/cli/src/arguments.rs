//! The command line.

mod many;
mod steer;

use clap::{Args, Parser, Subcommand};
use operator_core::{JobState, QueueName};

pub(crate) use many::{Clean, Drain, Obliterate, Promote, Retry};
pub(crate) use steer::{Limit, Limits, Schedulers, Upsert};

/// Adds jobs to Operator's queues, shows them, and changes them by hand.
#[derive(Debug, Parser)]
#[command(name = "operator", version)]
pub(crate) struct Arguments {
    /// Print JSON, one value a line, instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Queues(QueueCommand),
    /// Check packs, and print the schema of their manifests
    #[command(subcommand)]
    Pack(PackCommand),
    /// Ask a dispatcher or worker whether it is well; exit code 0 says yes
    Health {
        /// Where to ask [default: /health on PORT, then on HEALTH_PORT, of this machine]
        #[arg(value_parser = crate::health::url)]
        url: Option<url::Url>,
    },
}

/// What works on packs. Only the list of those that workers have needs Redis.
#[derive(Debug, Subcommand)]
pub(crate) enum PackCommand {
    /// Check a pack, or the packs in a folder, and print what a worker would register; exit code 1 says no
    Check {
        /// A folder with a pack.yaml, or a folder of such folders
        folder: std::path::PathBuf,
    },
    /// Print the JSON Schema of pack.yaml
    Schema,
    /// List the packs that live workers have
    List,
}

/// What works on the queues in Redis.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// What `pack list` does: it is the one of its kind that needs Redis
    #[command(skip)]
    Packs,
    /// Add one job, or with --stdin as many as there are lines
    Enqueue(Enqueue),
    /// Add a flow, or a list of flows, from a JSON file
    Flow {
        /// {"name", "queueName", "data", "opts", "children": […]}, or a list of such; - for standard input
        file: String,
    },
    /// List the queues with their counts
    Queues,
    /// List jobs of a queue
    Jobs(Jobs),
    /// Show one job with everything known of it
    Job {
        #[arg(value_parser = queue)]
        queue: QueueName,
        id: String,
    },
    /// Put finished jobs back in line
    Retry(Retry),
    /// Let delayed jobs run now
    Promote(Promote),
    /// Cancel jobs: those that run are told to stop
    Cancel(Cancel),
    /// Remove jobs that no worker holds
    Remove(Chosen),
    /// Remove all jobs that wait
    Drain(Drain),
    /// Remove the jobs of one state that have become old
    Clean(Clean),
    /// End a queue with everything in it
    Obliterate(Obliterate),
    /// List, make, end and repair what makes jobs at intervals and by cron patterns
    #[command(subcommand)]
    Schedulers(Schedulers),
    /// Show the limits of a queue, and set those that are named
    Limits(Limits),
    /// Stop claims on a queue; running jobs are not touched
    Pause {
        #[arg(value_parser = queue)]
        queue: QueueName,
    },
    /// Let claims on a queue go on
    Resume {
        #[arg(value_parser = queue)]
        queue: QueueName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Enqueue {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    /// Picks the job type that runs it
    #[arg(required_unless_present = "stdin", conflicts_with = "stdin")]
    pub(crate) name: Option<String>,
    /// What the job works on: JSON, @FILE with JSON in it, or - for standard input [default: null]
    #[arg(long, conflicts_with = "stdin")]
    pub(crate) data: Option<String>,
    /// How it wants to be run, as JSON: {"attempts":3,"delay":5000,"priority":"high",…}
    #[arg(long, conflicts_with = "stdin")]
    pub(crate) opts: Option<String>,
    /// Read jobs from standard input, one {"name":…,"data":…,"opts":…} a line; a "queue" in a line goes before QUEUE
    #[arg(long)]
    pub(crate) stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Jobs {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    /// Only jobs in this state; may be given more than once [default: every state]
    #[arg(long = "state", value_parser = state)]
    pub(crate) states: Vec<JobState>,
    /// The most jobs listed
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Why, for people
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// With the jobs below that have not ended
    #[arg(long)]
    pub(crate) children: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
}

fn queue(name: &str) -> Result<QueueName, String> {
    QueueName::new(name).map_err(|error| error.to_string())
}

fn state(name: &str) -> Result<JobState, String> {
    let known = || JobState::ALL.map(JobState::as_str).join(", ");
    match name.parse() {
        Ok(JobState::Unknown) | Err(_) => Err(format!("use one of {}", known())),
        Ok(state) => Ok(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        let words = std::iter::once("operator").chain(line.split(' '));
        Arguments::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_job_is_named_or_comes_from_standard_input() {
        assert!(parse("enqueue mail send").is_ok());
        assert!(parse("enqueue mail --stdin --json").is_ok());
        assert!(parse("enqueue mail").unwrap_err().contains("NAME"));
        assert!(parse("enqueue mail send --stdin").is_err());
    }

    #[test]
    fn a_wrong_queue_or_state_is_answered_with_the_right_ones() {
        assert!(parse("jobs a:b").unwrap_err().contains("colon"));
        assert!(parse("jobs mail --state done").unwrap_err().contains("waiting-children"));
        assert!(parse("jobs mail --state waiting --state failed").is_ok());
    }

    #[test]
    fn many_jobs_are_named_or_all_are_meant() {
        for fine in ["retry mail a b --first", "retry mail --all --before 5", "promote mail --all", "promote mail a"] {
            assert!(parse(fine).is_ok(), "{fine}");
        }
        for bad in ["retry mail", "retry mail a --all", "retry mail --all --first", "retry mail a --before 5"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("retry mail --all --before soon").unwrap_err().contains("epoch"));
        assert!(parse("obliterate mail").unwrap_err().contains("--confirm"));
    }

    #[test]
    fn a_scheduler_has_an_interval_or_a_pattern() {
        assert!(parse("schedulers upsert mail s --every 5 --offset 1").is_ok());
        assert!(parse("schedulers upsert mail s --pattern @daily --tz Europe/Berlin").is_ok());
        assert!(parse("schedulers upsert mail s").is_err());
        assert!(parse("schedulers upsert mail s --every 5 --pattern @daily").is_err());
        assert!(parse("schedulers upsert mail s --every 5 --tz Europe/Berlin").is_err());
    }
}
