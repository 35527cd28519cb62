//! A dead man's switch: ends the processes of a run when this program dies without having ended them.
//!
//! A shell reads from a pipe that only this program holds open, and each line lists the processes that run now. When
//! the pipe closes, for whatever reason, it sends SIGTERM to those of the last line.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use crate::failure::Result;
use crate::program;

const SCRIPT: &str = r#"
while read -r line; do processes=$line; done
if [ -n "$processes" ]; then kill -TERM $processes 2>/dev/null; fi
"#;

/// The shell that waits for our death.
pub(super) struct Guardian {
    shell: Child,
    processes: Vec<u32>,
}

impl Guardian {
    pub(super) fn start() -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Its own group: the terminal's Ctrl-C must not reach it before it has done its work.
        command.process_group(0);
        let shell = command.spawn().map_err(|error| program::start_failure(&command, error))?;
        Ok(Self { shell, processes: Vec::new() })
    }

    /// Watches over one more process.
    pub(super) fn watch(&mut self, process: u32) {
        self.processes.push(process);
        self.tell();
    }

    /// A process has ended: its id may be someone else's soon.
    pub(super) fn forget(&mut self, process: u32) {
        self.processes.retain(|watched| *watched != process);
        self.tell();
    }

    /// Ends the watch, over nothing if all goes well.
    pub(super) fn dismiss(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing is lost when it is gone already.
        let _ = self.shell.wait();
    }

    fn tell(&mut self) {
        let line = self.processes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        if let Some(pipe) = &mut self.shell.stdin {
            // A guardian that was killed cannot be told anything; the run goes on without it.
            let _ = writeln!(pipe, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn processes_end_when_whoever_started_them_is_gone() {
        let mut process = Command::new("sleep").arg("600").spawn().unwrap();
        let mut guardian = Guardian::start().unwrap();
        guardian.watch(process.id());
        guardian.dismiss();
        assert_eq!(process.wait().unwrap().signal(), Some(signal_hook::consts::SIGTERM));
    }

    #[test]
    fn a_process_that_ended_is_not_ended_again() {
        let mut process = Command::new("sleep").arg("600").spawn().unwrap();
        let mut guardian = Guardian::start().unwrap();
        guardian.watch(process.id());
        guardian.forget(process.id());
        guardian.dismiss();
        assert!(process.try_wait().unwrap().is_none());
        process.kill().unwrap();
        process.wait().unwrap();
    }
}
