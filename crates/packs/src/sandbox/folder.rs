//! The folders of programs: one for each, that nobody else can open, gone when it ends.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::SandboxError;

/// How often a folder is tried in which a dying process still writes.
const REMOVALS: usize = 5;

/// The folder that holds the folders of a worker's programs. Others may pass through it and see nothing.
pub(super) struct Folders {
    base: TempDir,
    /// Names are never used again, so that a late removal cannot meet a new folder.
    next: AtomicU64,
}

/// The folder of one program, removed with everything in it when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    /// The folder it lies in must not go first.
    _folders: Arc<Folders>,
}

impl Folders {
    pub(super) fn new(tmp: &Path) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Folder { path: tmp.to_owned(), source };
        let tmp = fs::canonicalize(tmp).map_err(failed)?;
        let base = tempfile::Builder::new()
            .prefix("operator-")
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(&tmp)
            .map_err(failed)?;
        Ok(Self { base, next: AtomicU64::new(1) })
    }

    pub(super) fn base(&self) -> &Path {
        self.base.path()
    }

    /// A new folder that belongs to `uid`, or to the worker's own user.
    pub(super) fn make(self: &Arc<Self>, uid: Option<u32>) -> Result<Folder, SandboxError> {
        let path = self.base().join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let made = DirBuilder::new().mode(0o700).create(&path).and_then(|()| match uid {
            Some(uid) => chown(&path, Some(uid), Some(uid)),
            None => Ok(()),
        });
        match made {
            Ok(()) => Ok(Folder { path, _folders: Arc::clone(self) }),
            Err(source) => Err(SandboxError::Folder { path, source }),
        }
    }
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => open_up(&self.path),
                _ => return,
            }
        }
        tracing::warn!(folder = %self.path.display(), "the folder of a command could not be removed");
    }
}

/// Takes back the rights that a program took from its own folders; links are left alone.
fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// How many bytes lie in `folder`, counted no further than to `enough`.
pub(super) fn size(folder: &Path, enough: u64) -> u64 {
    use std::os::unix::fs::MetadataExt;

    let mut total = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            // A file without content costs the disk something too.
            total += (metadata.blocks() * 512).max(512);
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
        if total > enough {
            break;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_everything_in_it_also_what_was_closed() {
        let tmp = tempfile::tempdir().unwrap();
        let folders = Arc::new(Folders::new(tmp.path()).unwrap());
        let folder = folders.make(None).unwrap();
        let path = folder.path().to_owned();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "text").unwrap();
        fs::set_permissions(path.join("a"), Permissions::from_mode(0o000)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
        let base = folders.base().to_owned();
        drop(folders);
        assert!(!base.exists());
    }

    #[test]
    fn what_lies_in_a_folder_is_counted_without_following_links() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir(tmp.path().join("in")).unwrap();
        fs::write(tmp.path().join("in/file"), vec![7; 100_000]).unwrap();
        std::os::unix::fs::symlink("/", tmp.path().join("root")).unwrap();
        let size = size(tmp.path(), u64::MAX);
        assert!((100_000..200_000).contains(&size), "{size}");
    }
}
