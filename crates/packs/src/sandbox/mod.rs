//! Secure execution contexts: programs that run with a folder of their own, and with nothing else but what they were
//! granted.
//!
//! [`Sandbox`] is what a worker has of them, once; [`Plan`] is what one job type was granted, checked; [`Process`] is one
//! running program and everything it started. What each protection stops, and what it does not, is in
//! `docs/security.md`. What a program is told and what it answers is left to [`crate::command`].

mod error;
mod grants;
mod kernel;
mod settings;

mod plan;
mod process;

mod folder;
mod guardian;
mod spawner;
mod users;
mod watch;

mod confine;
mod paths;
mod rules;
mod syscalls;

use std::path::Path;
use std::sync::Arc;

pub use error::SandboxError;
pub use grants::{Grants, Limits};
pub use kernel::Kernel;
pub use plan::{Plan, Program};
pub use process::{Exit, Process};
pub use settings::SandboxSettings;
pub use watch::Excess;

use folder::Folders;
use guardian::Guardian;
use operator_core::pack::Protection;
use spawner::Spawner;
use users::Users;
use watch::Watch;

/// What a worker starts programs with. Cheap to clone; one for the life of the process.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

/// Dropped from top to bottom: nothing is started or watched any more when the folders go.
struct Inner {
    kernel: Kernel,
    settings: SandboxSettings,
    spawner: Spawner,
    watch: Arc<Watch>,
    guardian: Arc<Guardian>,
    users: Users,
    folders: Arc<Folders>,
}

impl Sandbox {
    /// Looks at what this machine can do, and makes the folder for everything that programs write.
    ///
    /// # Errors
    /// [`SandboxError::Folder`] when the folder cannot be made, [`SandboxError::Thread`] when a thread cannot.
    pub fn new(settings: SandboxSettings) -> Result<Self, SandboxError> {
        let kernel = Kernel::detect();
        let folders = Arc::new(Folders::new(&settings.tmp)?);
        let inner = Inner {
            spawner: Spawner::new()?,
            watch: Watch::new()?,
            guardian: Arc::new(Guardian::new(folders.base())),
            users: Users::new(kernel.switches_users.then(|| settings.uids.clone()).flatten()),
            kernel,
            settings,
            folders,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the kernel and the rights of this process allow.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.inner.kernel
    }

    /// One line for the log: which protections programs have here, and which are missing.
    #[must_use]
    pub fn describe(&self) -> String {
        let has_users = self.inner.users.are_own();
        let (here, missing): (Vec<_>, Vec<_>) = Protection::ALL
            .into_iter()
            .partition(|protection| self.inner.kernel.provides(*protection, &Grants::default(), has_users));
        let names = |list: Vec<Protection>| match list.is_empty() {
            true => "none".to_owned(),
            false => list.into_iter().map(Protection::name).collect::<Vec<_>>().join(", "),
        };
        let guardian = if self.inner.guardian.is_there() { "" } else { ", no guardian: there is no /bin/sh" };
        format!("protections of commands: {}; missing: {}{guardian}", names(here), names(missing))
    }

    /// Where the programs of this worker have their folders.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.inner.folders.base()
    }

    /// Checks what `program` asks for against what there is.
    ///
    /// # Errors
    /// When the program is not there or could not be run, or a protection that it requires is missing.
    pub fn plan(&self, program: Program) -> Result<Plan, SandboxError> {
        Plan::new(program, &self.inner.kernel, &self.inner.settings, &self.inner.users)
    }

    /// Starts the program of `plan`, in a folder of its own.
    ///
    /// # Errors
    /// [`SandboxError::Start`] with what the system said, [`SandboxError::Users`] when every user is taken.
    pub async fn start(&self, plan: &Arc<Plan>) -> Result<Process, SandboxError> {
        Process::start(&self.inner, plan).await
    }
}
