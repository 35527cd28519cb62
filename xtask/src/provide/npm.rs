//! The npm packages of `interop/`: installed as its lock file says, and only when that has changed.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::{program, workspace};

/// A copy of the lock file that `node_modules` was installed from.
const STAMP: &str = "node_modules/.installed-from-lock";

/// Installs the packages pinned in `interop/package-lock.json` unless they are there already.
pub(crate) fn install() -> Result<()> {
    let folder = workspace::root().join("interop");
    let lock_path = folder.join("package-lock.json");
    let lock = fs::read(&lock_path).map_err(Failure::file(&lock_path))?;
    let stamp = folder.join(STAMP);
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        println!("   npm packages of interop/: as locked");
        return Ok(());
    }
    println!("   npm packages of interop/: npm ci");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder).stdin(Stdio::null());
    program::run(&mut npm)?;
    fs::write(&stamp, lock).map_err(Failure::file(stamp))
}

/// Fails when the Node.js found is older than the packages of `interop/` accept.
pub(super) fn check_node() -> Result<()> {
    let path = workspace::root().join("interop/package.json");
    let package = fs::read_to_string(&path).map_err(Failure::file(&path))?;
    let package: Value =
        serde_json::from_str(&package).map_err(|error| Failure::answer("interop/package.json", error))?;
    let wanted = major(package["engines"]["node"].as_str().unwrap_or_default());
    let version = program::output(Command::new("node").arg("--version"))?;
    if major(&version) >= wanted {
        return Ok(());
    }
    let what = format!("Node.js {wanted} or newer (`node --version` says {})", version.trim());
    let line = "a newer package of your system, or one from https://nodejs.org".to_owned();
    Err(Failure::Missing { what, line })
}

/// The 18 of `v18.1.0` and of `>=18`.
fn major(version: &str) -> u32 {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read_from_both_notations() {
        assert_eq!((major("v20.20.2\n"), major(">=18.3"), major("")), (20, 18, 0));
    }
}
