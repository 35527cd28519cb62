//! `.operator/` in the workspace: the data, the results and the logs of one development run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::workspace;

/// The folder, held by one run at a time.
pub(super) struct Folder {
    path: PathBuf,
    /// Locked as long as this lives; the system lets go of it even when the process is killed.
    _lock: File,
}

impl Folder {
    /// Opens the folder and, unless its data is to be kept, empties it.
    pub(super) fn open(keep_data: bool) -> Result<Self> {
        let path = workspace::root().join(".operator");
        fs::create_dir_all(&path).map_err(Failure::file(&path))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(Failure::file(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::answer("another `cargo xtask dev` of this clone is running", "stop it first"));
            }
            Err(TryLockError::Error(error)) => return Err(Failure::file(lock_path)(error)),
        }
        if !keep_data {
            clear(&path)?;
        }
        let folder = Self { path, _lock: lock };
        for inner in [folder.logs(), folder.redis()] {
            fs::create_dir_all(&inner).map_err(Failure::file(inner))?;
        }
        Ok(folder)
    }

    /// Where the output of each process goes.
    pub(super) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Where the private Redis keeps its data.
    pub(super) fn redis(&self) -> PathBuf {
        self.path.join("redis")
    }

    /// The SQLite database of results.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("operator.db")
    }
}

/// Removes what an earlier run left. Only names that a run makes: the rest of the folder may be the user's.
fn clear(path: &Path) -> Result<()> {
    for name in ["redis", "logs"] {
        let inner = path.join(name);
        if inner.exists() {
            fs::remove_dir_all(&inner).map_err(Failure::file(inner))?;
        }
    }
    for name in ["operator.db", "operator.db-wal", "operator.db-shm"] {
        let file = path.join(name);
        if file.exists() {
            fs::remove_file(&file).map_err(Failure::file(file))?;
        }
    }
    Ok(())
}
