//! The command line.

use clap::{Args, Parser, Subcommand};
use operator_core::{JobState, QueueName};

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
    /// Ask a dispatcher or worker whether it is well; exit code 0 says yes
    Health {
        /// Where to ask [default: /health on PORT, then on HEALTH_PORT, of this machine]
        #[arg(value_parser = crate::health::url)]
        url: Option<url::Url>,
    },
}

/// What works on the queues in Redis.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Add one job, or with --stdin as many as there are lines
    Enqueue(Enqueue),
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
    Promote(Chosen),
    /// Remove jobs that no worker holds
    Remove(Chosen),
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
pub(crate) struct Chosen {
    #[arg(value_parser = queue)]
    pub(crate) queue: QueueName,
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Put them first in line instead of last
    #[arg(long)]
    pub(crate) first: bool,
    /// Count their attempts from zero again
    #[arg(long)]
    pub(crate) reset_attempts: bool,
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
}
