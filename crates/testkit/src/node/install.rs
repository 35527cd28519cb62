//! Puts the packages of `interop/` in place with `npm ci`, once, however many test binaries ask at the same time.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const NODE_MISSING: &str = "this test needs Node.js 18 or newer with npm: install the packages nodejs and npm";

/// The folder of the scripts, with its packages installed as its lock file says.
pub(super) async fn ready() -> PathBuf {
    assert!(on_path("node"), "{NODE_MISSING}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
    let wanted = folder.clone();
    // Blocking: it waits for the other test binary that may be installing, and for npm.
    tokio::task::spawn_blocking(move || install(&wanted)).await.unwrap_or_else(|error| panic!("{error}"));
    folder
}

fn install(folder: &Path) {
    let lock = File::create(folder.join("install.lock")).expect("interop/ can be written to");
    // Let go of when the file is closed, also by a process that is killed.
    lock.lock().expect("interop/install.lock can be locked");
    if is_installed(folder) {
        return;
    }
    let output =
        Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder).output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("npm ci failed in interop/:\n{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if error.kind() == ErrorKind::NotFound => panic!("{NODE_MISSING}"),
        Err(error) => panic!("failed to start npm: {error}"),
    }
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).with_extension(env::consts::EXE_EXTENSION).is_file())
}

/// Whether every package of the lock file is there in its version, by the record npm keeps of what it installed.
fn is_installed(folder: &Path) -> bool {
    let wanted = packages(&folder.join("package-lock.json")).expect("interop/package-lock.json can be read");
    let Some(found) = packages(&folder.join("node_modules/.package-lock.json")) else { return false };
    let mut wanted = wanted.as_object().into_iter().flatten().filter(|(path, _)| !path.is_empty());
    wanted.all(|(path, package)| match found.get(path) {
        Some(installed) => installed["version"] == package["version"],
        // Packages for other platforms are left out.
        None => package["optional"] == true,
    })
}

fn packages(lock_file: &Path) -> Option<Value> {
    let text = fs::read_to_string(lock_file).ok()?;
    Some(serde_json::from_str::<Value>(&text).ok()?["packages"].take())
}
