//! A pack of scripts, and jobs that they run without a queue.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use operator_core::{Failure, Json};
use operator_packs::command::{Command, JobProgram, Persistent};
use operator_packs::sandbox::{Sandbox, SandboxSettings};
use operator_packs::secrets::Secrets;
use operator_packs::{Executor, Rehearsal};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A sandbox, a pack in it, and the secrets of its worker.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) secrets: Secrets,
    place: TempDir,
}

/// The lines with which the Python programs of these tests begin.
const PYTHON: &str = "import json, os, sys, time, signal\n\
    def say(operator, **fields): print(json.dumps({'operator': operator, **fields}), flush=True)\n";

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_environment(HashMap::new())
    }

    pub(crate) fn with_environment(environment: HashMap<&'static str, &'static str>) -> Self {
        let place = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        let settings = SandboxSettings { tmp: place.path().to_owned(), ..SandboxSettings::default() };
        let sandbox = Sandbox::new(settings).unwrap();
        Self { sandbox, secrets: Secrets::new(Arc::new(environment), None), place }
    }

    /// A job type that a script runs.
    pub(crate) fn spec(&self, interpreter: &str, text: &str) -> JobProgram {
        let script = PathBuf::from(format!("{interpreter}-{}", fs::read_dir(self.place.path()).unwrap().count()));
        let path = self.place.path().join(&script);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        JobProgram {
            program: interpreter.to_owned(),
            args: vec![script.to_str().unwrap().to_owned()],
            folder: self.place.path().to_owned(),
            grace: Duration::from_secs(5),
            ..JobProgram::default()
        }
    }

    pub(crate) fn shell(&self, text: &str) -> JobProgram {
        self.spec("sh", text)
    }

    pub(crate) fn python(&self, text: &str) -> JobProgram {
        self.spec("python3", &format!("{PYTHON}{text}"))
    }

    /// A job type whose one program runs one job after the other.
    pub(crate) fn python_for_many(&self, text: &str) -> JobProgram {
        let persistent = Some(Persistent { processes: 1, ..Persistent::default() });
        JobProgram { persistent, ..self.python(text) }
    }

    pub(crate) fn command(&self, spec: JobProgram) -> Command {
        Command::new(&self.sandbox, &self.secrets, spec).unwrap()
    }

    /// Runs one job with `{"n": 1}` and says what it reported.
    pub(crate) async fn run(&self, spec: JobProgram) -> (Result<Json, Failure>, Rehearsal) {
        run(&self.command(spec), json!({"n": 1})).await
    }
}

pub(crate) async fn run(command: &Command, data: Value) -> (Result<Json, Failure>, Rehearsal) {
    let rehearsal = Rehearsal::of("pack.work", data);
    let result = command.execute(rehearsal.context()).await;
    (result, rehearsal)
}

/// The number of the process that a job of this type runs in.
pub(crate) async fn pid_of(command: &Command) -> u32 {
    let (result, _) = run(command, json!("pid")).await;
    result.unwrap().decode().unwrap()
}

/// Whether the process is there and not only remembered.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

/// Waits, by looking again, until `is_true`.
pub(crate) async fn until(is_true: impl Fn() -> bool) {
    while !is_true() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
