//! One process of a run: its output in a log file, its end by SIGTERM first.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::LOOK_AGAIN;
use crate::failure::{Failure, Result};
use crate::program;

/// How many of a log's last lines are shown when something went wrong.
const TAIL_LINES: usize = 20;

/// A process that this run started.
pub(super) struct Process {
    pub(super) name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `<logs>/<name>.log`.
    pub(super) fn start(name: &str, command: &mut Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).map_err(Failure::file(&log))?;
        let errors = output.try_clone().map_err(Failure::file(&log))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        // Its own group: the terminal's Ctrl-C goes to us alone, and we stop the parts in order.
        command.process_group(0);
        let child = command.spawn().map_err(|error| program::start_failure(command, error))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails when the process has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(Failure::Ended { name: self.name.clone(), status: status.to_string() }),
        }
    }

    /// Asks the process to end.
    pub(super) fn ask_to_stop(&mut self) {
        if self.ended().is_none() {
            // It may end by itself in this very moment; then there is nothing to ask.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    /// Waits for the end, and forces it at `deadline`. Says so when it had to, or when the process failed.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> Option<String> {
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return (!status.success()).then(|| format!("{} ended with {status}", self.name));
            }
            thread::sleep(LOOK_AGAIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        Some(format!("{} did not stop in time and was killed", self.name))
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("── {}\n{tail}", self.log.display())
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

/// Looks again until `found` gives something, for at most `limit`.
pub(super) fn wait_for<T>(limit: Duration, mut found: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = found()? {
            return Ok(Some(value));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(LOOK_AGAIN);
    }
}
