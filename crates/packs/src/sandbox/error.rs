//! Why a program cannot be run.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use operator_core::pack::Protection;

/// Why a program cannot be run.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// Nothing of this name is where programs are looked for.
    #[error("there is no program `{program}` in {path}")]
    NoProgram {
        /// As the manifest names it.
        program: String,
        /// Where it was looked for.
        path: String,
    },
    /// The program lies where the protections do not let a command read.
    #[error("`{}` is not where a command may read; add its folder to OPERATOR_SANDBOX_READ", .0.display())]
    Unreadable(PathBuf),
    /// A protection is required that this worker does not have.
    #[error("the protection `{}` is required, and this worker does not have it: {reason}", protection.name())]
    Missing {
        /// Which one.
        protection: Protection,
        /// What would have to be different.
        reason: &'static str,
    },
    /// A path that was granted is not absolute.
    #[error("`{}` cannot be granted: only absolute paths can", .0.display())]
    Relative(PathBuf),
    /// A folder for what programs write could not be made.
    #[error("failed to make the folder {}: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be made.
    #[error("failed to start a thread: {0}")]
    Thread(io::Error),
    /// The rules could not be made out of what was granted.
    #[error("failed to make the rules of the {protection}: {reason}")]
    Rules {
        /// Which protection.
        protection: &'static str,
        /// What the library said.
        reason: String,
    },
    /// As many programs run as there are users for them.
    #[error("every user for commands is taken; widen OPERATOR_SANDBOX_UIDS")]
    Users,
    /// The system did not start it.
    #[error("failed to start `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}
