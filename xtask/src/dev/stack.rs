//! All processes of a run, in the order they were started. They end in the other order, however the run ends.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::child::Process;
use super::guardian::Guardian;
use super::interrupt::Interrupt;
use super::task;
use crate::failure::Result;

/// How long services get to drain: a worker's own limit is 20 s by default, and then it still hands jobs back.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// How long a Redis gets to write its last data.
const REDIS_LIMIT: Duration = Duration::from_secs(10);

/// The processes of a run.
pub(super) struct Stack {
    redis: Option<Process>,
    services: Vec<Process>,
    guardian: Guardian,
    /// Whether [`Stack::stop`] has run; dropping does what it did not.
    stopped: bool,
}

impl Stack {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { redis: None, services: Vec::new(), guardian: Guardian::start()?, stopped: false })
    }

    /// Starts the private Redis, which ends last.
    pub(super) fn start_redis(&mut self, command: &mut Command, logs: &Path) -> Result<()> {
        let process = Process::start("redis", command, logs)?;
        self.guardian.watch(process.id());
        self.redis = Some(process);
        Ok(())
    }

    /// Starts a service.
    pub(super) fn start_service(&mut self, name: &str, command: &mut Command, logs: &Path) -> Result<()> {
        let process = Process::start(name, command, logs)?;
        self.guardian.watch(process.id());
        self.services.push(process);
        Ok(())
    }

    /// Runs `command` to its end with `input`, and returns what it printed.
    pub(super) fn run(&mut self, command: &mut Command, input: &str, interrupt: &Interrupt) -> Result<String> {
        task::run(command, input, &mut self.guardian, interrupt)
    }

    /// Fails when a process has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        self.redis.iter_mut().chain(&mut self.services).try_for_each(Process::check)
    }

    /// The last lines of every log.
    pub(super) fn log_tails(&self) -> Vec<String> {
        self.redis.iter().chain(&self.services).map(Process::log_tail).collect()
    }

    /// Lets the services drain, then ends the Redis.
    pub(super) fn stop(&mut self) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        if !self.services.is_empty() {
            println!("\nStopping: running jobs finish first. A second Ctrl-C stops at once.");
        }
        stop_all(&mut self.services, DRAIN_LIMIT);
        stop_all(self.redis.as_mut_slice(), REDIS_LIMIT);
        self.redis.iter().chain(&self.services).for_each(|process| self.guardian.forget(process.id()));
        self.guardian.dismiss();
    }
}

fn stop_all(processes: &mut [Process], limit: Duration) {
    processes.iter_mut().for_each(Process::ask_to_stop);
    let deadline = Instant::now() + limit;
    for problem in processes.iter_mut().filter_map(|process| process.wait_until(deadline)) {
        println!("{problem}");
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn stack_of(script: &str) -> (Stack, std::path::PathBuf) {
        let logs = std::env::temp_dir().join(format!("operator-xtask-{}-{}", std::process::id(), script.len()));
        fs::create_dir_all(&logs).unwrap();
        let mut stack = Stack::new().unwrap();
        stack.start_service("service", Command::new("sh").args(["-c", script]), &logs).unwrap();
        (stack, logs)
    }

    fn runs(process: u32) -> bool {
        let process = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
        rustix::process::test_kill_process(process).is_ok()
    }

    #[test]
    fn dropping_a_stack_ends_its_processes() {
        let (stack, logs) = stack_of("exec sleep 600");
        let process = stack.services[0].id();
        assert!(runs(process));
        drop(stack);
        assert!(!runs(process));
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn a_process_that_ends_by_itself_is_noticed_and_its_log_shown() {
        let (mut stack, logs) = stack_of("echo it broke; exit 3");
        let failure = super::super::child::wait_for(Duration::from_secs(60), || Ok(stack.check().err())).unwrap();
        assert!(failure.unwrap().to_string().contains("service"));
        assert!(stack.log_tails()[0].contains("it broke"));
        drop(stack);
        fs::remove_dir_all(logs).unwrap();
    }
}
