//! Programs on this machine: finding them, running them, and saying what was run.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::failure::{Failure, Result};

/// The first of `names` found in `PATH` or in `elsewhere`.
pub(crate) fn find(names: &[&str], elsewhere: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).chain(elsewhere.iter().cloned()).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// `PATH` with the folders of `programs` at its end.
pub(crate) fn path_with(programs: &[PathBuf]) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    for folder in programs.iter().filter_map(|program| program.parent()) {
        if !folders.iter().any(|known| known == folder) {
            folders.push(folder.to_path_buf());
        }
    }
    // A folder whose name holds a colon cannot stand in PATH; without it nothing gets worse.
    env::join_paths(folders).unwrap_or(path)
}

/// Runs `command` to its end with this program's input and output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| start_failure(command, error))?;
    if status.success() { Ok(()) } else { Err(Failure::Program { command: line(command), status: status.to_string() }) }
}

/// Runs `command` to its end and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().map_err(|error| start_failure(command, error))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let status = format!("{status}: {}", String::from_utf8_lossy(&stderr).trim());
    Err(Failure::Program { command: line(command), status })
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let mut line = base_name(command);
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let bare = !argument.is_empty() && !argument.contains([' ', '"', '\'', '{']);
        let _ = if bare { write!(line, " {argument}") } else { write!(line, " '{argument}'") };
    }
    line
}

/// The failure that `command` could not even be started.
pub(crate) fn start_failure(command: &Command, error: std::io::Error) -> Failure {
    Failure::Start { program: base_name(command), error }
}

fn base_name(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    program.file_name().map_or_else(|| program.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/env");
        command.args(["a", "b c"]);
        assert_eq!(line(&command), "env a 'b c'");
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        assert_eq!(find(&["no-such-program-anywhere"], &[]), None);
        assert!(find(&["no-such-program-anywhere", "sh"], &[]).is_some());
    }
}
