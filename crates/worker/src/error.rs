//! Why a worker did not start, or did not live on, and the exit code that says so.

use std::io;

use operator_core::settings::BadSettings;
use operator_packs::manifest::BadManifest;
use operator_packs::provide::CannotProvide;
use operator_queue::{QueueError, RedisError};
use operator_telemetry::{Exit, ListenError, TelemetryError};
use thiserror::Error;

/// What stands between a worker and its jobs. Each message says what to change.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The environment holds values that cannot be used.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// Logs, traces or metrics could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The health server has no socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Packs that are not as they must be.
    #[error("packs cannot be used:\n{0}")]
    Packs(#[from] BadManifest),
    /// A job type that cannot be run here.
    #[error(transparent)]
    CannotProvide(#[from] CannotProvide),
    /// Nothing to confine programs with.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Sandbox(#[from] operator_packs::sandbox::SandboxError),
    /// Redis cannot be used, or a queue's name.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The system gives no threads.
    #[error("failed to start threads: {0}; check the limits on processes and memory")]
    Runtime(#[source] io::Error),
    /// The system lets nobody take over signals.
    #[error("failed to take over signals: {0}")]
    Signals(#[source] io::Error),
    /// The health server broke; the worker drained and ended.
    #[error("the health server ended: {0}; start the worker again")]
    Health(#[source] io::Error),
    /// The claim loop ended although nobody stopped it.
    #[error("the claim loop died; this is a defect: start the worker again and report the log")]
    Died,
}

impl WorkerError {
    /// The code a process ends with for this reason; `docs/exit-codes.md` lists them.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Settings(_) | Self::Telemetry(_) | Self::Listen(_) => Exit::Config,
            Self::Packs(_) | Self::CannotProvide(_) => Exit::Config,
            #[cfg(target_os = "linux")]
            Self::Sandbox(_) => Exit::Config,
            Self::Queue(QueueError::Redis(RedisError::Unreachable { .. } | RedisError::Lost { .. })) => {
                Exit::Unavailable
            }
            Self::Queue(QueueError::Redis(RedisError::Answer { .. }) | QueueError::Corrupt { .. }) => Exit::Internal,
            Self::Queue(_) => Exit::Config,
            Self::Runtime(_) | Self::Signals(_) | Self::Health(_) | Self::Died => Exit::Internal,
        }
    }
}
