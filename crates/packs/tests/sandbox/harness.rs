//! A pack of one script, run once in a sandbox.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use operator_packs::sandbox::{Exit, Process, Program, Sandbox, SandboxError, SandboxSettings};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// A sandbox with a place of its own, and a pack in it.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) place: TempDir,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Programs run as the worker's own user, as they do for a worker that is not root.
    pub(crate) fn without_users() -> Self {
        Self::with(|settings| settings.uids = None)
    }

    fn with(change: impl FnOnce(&mut SandboxSettings)) -> Self {
        let place = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        fs::create_dir(place.path().join("pack")).unwrap();
        let mut settings = SandboxSettings { tmp: place.path().to_owned(), ..SandboxSettings::default() };
        change(&mut settings);
        Self { sandbox: Sandbox::new(settings).unwrap(), place }
    }

    pub(crate) fn pack(&self) -> PathBuf {
        self.place.path().join("pack")
    }

    /// A script of the pack, to be run with `interpreter`.
    pub(crate) fn script(&self, interpreter: &str, text: &str) -> Program {
        let name = format!("script-{interpreter}");
        let path = self.pack().join(&name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        Program { program: interpreter.to_owned(), args: vec![name], folder: self.pack(), ..Program::default() }
    }

    pub(crate) async fn start(&self, program: Program) -> Result<Process, SandboxError> {
        let plan = Arc::new(self.sandbox.plan(program)?);
        self.sandbox.start(&plan).await
    }

    pub(crate) async fn run(&self, program: Program) -> Ended {
        end(self.start(program).await.unwrap()).await
    }

    pub(crate) async fn python(&self, text: &str) -> Ended {
        self.run(self.script("python3", text)).await
    }

    pub(crate) async fn shell(&self, text: &str) -> Ended {
        self.run(self.script("sh", text)).await
    }
}

/// Waits for the end of the program and all it started, and reads what they said.
pub(crate) async fn end(mut process: Process) -> Ended {
    drop(process.stdin.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut stdout = process.take_stdout();
    let mut stderr = process.take_stderr();
    let (exit, _, _) = tokio::join!(process.wait(), stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ended { exit: exit.unwrap(), out: text(&out), err: text(&err) }
}

/// Whether the process is there and not only remembered.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

/// Waits, by looking again, until `is_true`; the test's own limit of time is the harness's.
pub(crate) async fn until(is_true: impl Fn() -> bool) {
    while !is_true() {
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Whether `path` is empty or gone.
pub(crate) fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none())
}
