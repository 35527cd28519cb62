//! Signals to a process by its id, through the system's `kill` program: the standard library has only SIGKILL.

use std::process::Command;

/// Sends `SIG<name>`.
pub(crate) fn send(name: &str, process: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => panic!("failed to send SIG{name} to process {process}: is it still running?"),
        Err(error) => panic!("this test needs the program kill (package procps or util-linux): {error}"),
    }
}
