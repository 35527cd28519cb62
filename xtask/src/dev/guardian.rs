//! A dead man's switch: ends the processes of a run when this program dies without having ended them.
//!
//! A shell reads process ids from a pipe that only this program holds open. When the pipe closes, for whatever reason,
//! it sends SIGTERM to those it was told of.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use crate::failure::Result;
use crate::program;

const SCRIPT: &str = r#"
while read -r line; do
  if [ "$line" = done ]; then exit 0; fi
  processes="$processes $line"
done
kill -TERM $processes 2>/dev/null
"#;

/// The shell that waits for our death.
pub(super) struct Guardian {
    shell: Child,
}

impl Guardian {
    pub(super) fn start() -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Its own group: the terminal's Ctrl-C must not reach it before it has done its work.
        command.process_group(0);
        let shell = command.spawn().map_err(|error| program::start_failure(&command, error))?;
        Ok(Self { shell })
    }

    /// Watches over one more process.
    pub(super) fn watch(&mut self, process: u32) {
        self.tell(&process.to_string());
    }

    /// Lets it go: all its processes have ended, and their ids may be someone else's soon.
    pub(super) fn dismiss(&mut self) {
        self.tell("done");
        // Nothing is lost when it is gone already.
        let _ = self.shell.wait();
    }

    fn tell(&mut self, line: &str) {
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
        drop(guardian.shell.stdin.take());
        assert_eq!(process.wait().unwrap().signal(), Some(signal_hook::consts::SIGTERM));
        guardian.shell.wait().unwrap();
    }

    #[test]
    fn a_dismissed_guardian_ends_nothing() {
        let mut process = Command::new("sleep").arg("600").spawn().unwrap();
        let mut guardian = Guardian::start().unwrap();
        guardian.watch(process.id());
        guardian.dismiss();
        assert!(process.try_wait().unwrap().is_none());
        process.kill().unwrap();
        process.wait().unwrap();
    }
}
