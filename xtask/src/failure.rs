//! Why a development command ended without success, in words for the person who typed it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The result of everything here.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command gave up, named for what the person can do about it.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A program could not be started at all.
    #[error("failed to start {program}: {error}")]
    Start { program: String, error: io::Error },
    /// A program ran and reported failure; its own output says why.
    #[error("`{command}` failed ({status})")]
    Program { command: String, status: String },
    /// A program is missing and may not be installed from here.
    #[error("{what} is missing. Install it with:\n\n    {line}\n\nand run this command again.")]
    Missing { what: String, line: String },
    /// Some of the steps of a longer run did not pass.
    #[error("not passed: {}", .steps.join(", "))]
    Steps { steps: Vec<String> },
    /// The checks of `tidy` found something.
    #[error("{count} to put in order")]
    Untidy { count: usize },
    /// Someone asked for the end.
    #[error("stopped before the end")]
    Interrupted,
    /// A process of ours ended by itself.
    #[error("{name} ended by itself ({status})")]
    Ended { name: String, status: String },
    /// A process of ours runs but cannot work.
    #[error("{name} was not ready after {seconds} s")]
    NotReady { name: String, seconds: u64 },
    /// Example jobs failed that should not have, or their results are not where they belong.
    #[error("{failed} of the jobs failed, or not all results reached the database")]
    Jobs { failed: u64 },
    /// A file could not be read or written.
    #[error("failed to use {}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    /// A program answered something that could not be understood.
    #[error("{what}: {problem}")]
    Answer { what: String, problem: String },
}

impl Failure {
    /// Turns an I/O error about `path` into a failure, for `map_err`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { path, error }
    }

    /// Something answered, but not as expected.
    pub(crate) fn answer(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Answer { what: what.into(), problem: problem.to_string() }
    }
}
