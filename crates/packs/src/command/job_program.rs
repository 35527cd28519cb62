//! What a job type that a program runs is, put together from its manifest or by whoever embeds a worker.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use operator_core::pack::Protection;

use super::{Bounds, Persistent};
use crate::manifest::{ExecutorSpec, JobTypeSpec, Permissions};
use crate::sandbox::{Grants, Limits};

/// What a manifest says of a job type that a program runs.
#[derive(Debug, Clone, Default)]
pub struct JobProgram {
    /// A name to be looked up, or a path in the folder of the pack.
    pub program: String,
    /// What it is called with.
    pub args: Vec<String>,
    /// The folder of the pack.
    pub folder: PathBuf,
    /// How long it may tidy up after it was told to stop.
    pub grace: Duration,
    /// Set when one program runs many jobs, one after the other.
    pub persistent: Option<Persistent>,
    /// Variables of the worker's environment that are passed on.
    pub env: Vec<String>,
    /// Secrets that it is given, as variables of its environment.
    pub secrets: Vec<String>,
    /// What it may reach.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
    /// How much it may say.
    pub bounds: Bounds,
    /// The protections without which it must not run.
    pub require: BTreeSet<Protection>,
}

impl JobProgram {
    /// What the manifest says of a job type; nothing when no program runs it.
    #[must_use]
    pub fn of(job_type: &JobTypeSpec) -> Option<Self> {
        let ExecutorSpec::Command(command) = &job_type.executor else { return None };
        let Permissions { env, secrets, read, write, connect, bind, limits, require } = job_type.permissions.clone();
        // Without a number of its own, as many jobs of the type run at a time as the worker has slots.
        let processes = job_type.defaults.concurrency.map_or(usize::MAX, |most| most as usize);
        let persistent = Persistent { processes, idle: command.idle, max_jobs: command.max_jobs };
        Some(Self {
            program: command.program.clone(),
            args: command.args.clone(),
            folder: job_type.pack.folder.clone(),
            grace: command.grace,
            persistent: command.persistent.then_some(persistent),
            env,
            secrets,
            grants: Grants { read, write, connect, bind },
            limits: Limits {
                memory_bytes: limits.memory_mb << 20,
                cpu_seconds: limits.cpu_seconds,
                processes: limits.processes,
                open_files: limits.open_files,
                file_bytes: limits.file_size_mb << 20,
                folder_bytes: limits.folder_mb << 20,
            },
            bounds: Bounds::of(&limits),
            require: require.into_iter().collect(),
        })
    }
}
