//! A program that runs to its end, unless someone asks for ours first.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::LOOK_AGAIN;
use super::guardian::Guardian;
use super::interrupt::Interrupt;
use crate::failure::{Failure, Result};
use crate::program;

/// Runs `command` with `input` on its standard input and returns its standard output.
pub(super) fn run(
    command: &mut Command,
    input: &str,
    guardian: &mut Guardian,
    interrupt: &Interrupt,
) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| program::start_failure(command, error))?;
    guardian.watch(child.id());
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (status, printed) = thread::scope(|scope| {
        // Beside each other, so that neither side waits on a full pipe. A program may end before it has read all.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        let printed = scope.spawn(move || {
            let mut text = Vec::new();
            let _ = stdout.map(|mut stdout| stdout.read_to_end(&mut text));
            text
        });
        (wait(&mut child, interrupt), printed.join().unwrap_or_default())
    });
    guardian.forget(child.id());
    let status = status?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&printed).into_owned());
    }
    Err(Failure::Program { command: program::line(command), status: status.to_string() })
}

/// Waits for the end of `child`, and brings it about when ours is asked for.
fn wait(child: &mut Child, interrupt: &Interrupt) -> Result<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return interrupt.check().map(|()| status),
            Ok(None) => {}
            Err(error) => return Err(Failure::answer("failed to wait for a program", error)),
        }
        if interrupt.check().is_err() {
            // It may end by itself in this very moment; then there is nothing to ask.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        thread::sleep(LOOK_AGAIN);
    }
}
