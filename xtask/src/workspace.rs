//! Where the workspace lies, and how to call its cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that `cargo run` sets for this program and that a nested cargo must not inherit: build scripts that watch
/// them would run again each time one is called from here and once more when one is called by hand.
const SET_BY_CARGO_RUN: &[&str] =
    &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "NEXTEST"];

/// The folder with the workspace's `Cargo.toml`.
///
/// The variable that `cargo run` sets goes before the one known at build time, because a shared target directory can
/// hold an xtask that was built for another clone.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = manifest.filter(|path| path.ends_with("xtask")).unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    here.parent().map(Path::to_path_buf).expect("xtask lies in a folder of the workspace")
}

/// The cargo that runs this program, in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        if SET_BY_CARGO_RUN.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}
