//! What is left when a worker is killed: a shell that then stops what the worker's programs started, and removes their
//! folders.
//!
//! The kernel ends a program with its worker, but not what that program started. The guardian holds the reading end of a
//! pipe and the list of process groups; when the pipe closes, whatever the reason, it ends them.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Each line replaces the list. Signals that stop a worker from a terminal must not stop it first.
const SCRIPT: &str = r#"trap '' HUP INT QUIT TERM
while read -r groups; do last=$groups; done
for group in $last; do kill -s KILL -- "-$group" 2>/dev/null; done
rm -rf -- "$0""#;

/// The guardian of one worker, and the process groups it was told of.
pub(super) struct Guardian {
    state: Mutex<State>,
}

struct State {
    /// Its end is how the guardian learns that the worker is gone. None where there is no shell.
    pipe: Option<ChildStdin>,
    groups: BTreeSet<i32>,
}

impl Guardian {
    /// Starts the shell that will remove `base`.
    pub(super) fn new(base: &Path) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg(base).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let pipe = command.spawn().ok().and_then(|mut child| child.stdin.take());
        Self { state: Mutex::new(State { pipe, groups: BTreeSet::new() }) }
    }

    pub(super) fn is_there(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).pipe.is_some()
    }

    pub(super) fn add(&self, group: i32) {
        self.change(|groups| groups.insert(group));
    }

    pub(super) fn remove(&self, group: i32) {
        self.change(|groups| groups.remove(&group));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<i32>) -> bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut state.groups) {
            return;
        }
        let mut line = state.groups.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
        line.push('\n');
        // A guardian that somebody ended cannot be told anything; the programs themselves still end with the worker.
        if let Some(pipe) = &mut state.pipe
            && pipe.write_all(line.as_bytes()).is_err()
        {
            state.pipe = None;
        }
    }
}
