//! Why a command failed, and the exit code that says so.

use std::io::{self, ErrorKind};

use operator_core::settings::BadSettings;
use operator_queue::{QueueError, RedisError};
use operator_telemetry::Exit;
use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The environment holds values that cannot be used.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// Logs or traces could not be set up as asked.
    #[error("{0}")]
    Setup(String),
    /// What was given to work on cannot be read or understood.
    #[error("{what}: {problem}")]
    Input { what: String, problem: String },
    /// The queue said no, or could not be asked.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Some jobs of a list were refused; each was named as it happened.
    #[error("{refused} of {asked} {what} were refused")]
    Partly { refused: usize, asked: usize, what: &'static str },
    /// Packs that are not as they must be, each problem named before.
    #[error("{0} to put in order")]
    BadPacks(usize),
    /// There is no such job.
    #[error("queue {queue} has no job {id}")]
    NotFound { queue: String, id: String },
    /// A service says that it is not well.
    #[error("{url} says no")]
    Unwell { url: String },
    /// A service could not be asked.
    #[error("failed to ask {what}: {problem}")]
    Silent { what: String, problem: String },
    /// The output could not be written.
    #[error("failed to write: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(crate) fn input(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Input { what: what.into(), problem: problem.to_string() }
    }

    /// Whether the reader of the output has seen enough, as `head` does: no failure of ours.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            _ if self.is_closed_pipe() => Exit::Ok,
            Self::Settings(_) | Self::Setup(_) => Exit::Config,
            Self::Input { .. } => Exit::Usage,
            Self::Queue(QueueError::Redis(error)) => exit_of(error),
            Self::Silent { .. } => Exit::Unavailable,
            Self::Queue(_)
            | Self::BadPacks(_)
            | Self::Partly { .. }
            | Self::NotFound { .. }
            | Self::Unwell { .. }
            | Self::Output(_) => Exit::Failed,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Queue(error.into())
    }
}

fn exit_of(error: &RedisError) -> Exit {
    match error {
        RedisError::Unreachable { .. } | RedisError::Lost { .. } => Exit::Unavailable,
        RedisError::Command { .. } | RedisError::Answer { .. } => Exit::Failed,
        _ => Exit::Config,
    }
}
