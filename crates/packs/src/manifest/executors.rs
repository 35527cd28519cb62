//! What runs the jobs of a type, as its manifest states it.

use std::collections::BTreeMap;
use std::time::Duration;

/// One way to run jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutorSpec {
    /// A program.
    Command(CommandSpec),
    /// A service.
    Http(HttpSpec),
    /// A function that the program which embeds the worker registers under the job type's name.
    Rust,
}

impl ExecutorSpec {
    /// The word for it in manifests and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Http(_) => "http",
            Self::Rust => "rust",
        }
    }
}

/// A program that runs jobs. It starts in the folder of its pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// A name to be found in the worker's `PATH`, or an absolute path.
    pub program: String,
    /// What it is given, as the manifest has it.
    pub args: Vec<String>,
    /// Whether one process runs many jobs in turn.
    pub persistent: bool,
    /// After how long without a job such a process is stopped.
    pub idle: Duration,
    /// After how many jobs it is replaced.
    pub max_jobs: u64,
    /// How long it may take to end when it is asked to, before it is killed.
    pub grace: Duration,
}

/// A service that runs jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSpec {
    /// Where the job is posted: http or https, with a host.
    pub url: String,
    /// The name of the secret that signs what is posted; one of the job type's permitted secrets.
    pub secret: Option<String>,
    /// Headers to send besides.
    pub headers: BTreeMap<String, String>,
    /// Whether the address may be a private one.
    pub allow_private: bool,
    /// How long the service may take to tell the result when it answers 202; absent when it may not.
    pub callback_within: Option<Duration>,
    /// The largest answer that is read.
    pub max_response_bytes: u64,
}
