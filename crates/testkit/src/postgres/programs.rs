//! Where PostgreSQL's programs are, and the user they run as: the server refuses to run as root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a server and a fresh database need.
const NEEDED: [&str; 3] = ["initdb", "postgres", "createdb"];

/// Folders outside the PATH in which systems keep one folder per version: Debian and Alpine.
const VERSIONED: [&str; 2] = ["/usr/lib/postgresql", "/usr/libexec"];

/// Users that a root process hands the server to, by preference. The second exists on every system.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// PostgreSQL's programs of one version.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// User and group to run as, when this process is root.
    user: Option<(u32, u32)>,
}

impl Programs {
    /// Finds the programs, and gives `folder` to the user they will run as.
    pub(super) fn find(folder: &Path) -> Self {
        let owner = fs::metadata(folder).expect("the folder was just made").uid();
        let user = (owner == 0).then(unprivileged_user);
        if let Some((uid, gid)) = user {
            chown(folder, Some(uid), Some(gid)).expect("root may give away its folder");
        }
        Self { folder: program_folder(), user }
    }

    /// A command that runs `program` in `place`. The caller's folder may be closed to the user it runs as.
    pub(super) fn command(&self, program: &str, place: &Path) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.current_dir(place);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn program_folder() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = VERSIONED.iter().flat_map(|parent| versions(Path::new(parent))).collect();
    folders.extend(std::env::split_paths(&path));
    let complete = |folder: &PathBuf| NEEDED.iter().all(|program| folder.join(program).is_file());
    folders.into_iter().find(complete).unwrap_or_else(|| {
        panic!(
            "this test needs PostgreSQL's {} in the PATH or in /usr/lib/postgresql/<version>/bin: install the \
             server (Debian: apt-get install postgresql; macOS: brew install postgresql)",
            NEEDED.join(", ")
        )
    })
}

/// `<parent>/<version>/bin` and `<parent>/postgresql<version>`, the newest version first.
fn versions(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = version_of(&entry.file_name())?;
            let nested = entry.path().join("bin");
            Some((version, if nested.is_dir() { nested } else { entry.path() }))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, folder)| folder).collect()
}

fn version_of(name: &OsStr) -> Option<u32> {
    let name = name.to_str()?;
    name.strip_prefix("postgresql").unwrap_or(name).parse().ok()
}

fn unprivileged_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    USERS.iter().find_map(|name| ids(&users, name)).unwrap_or_else(|| {
        panic!("PostgreSQL does not run as root, and there is no user {} to hand it to", USERS.join(" or "))
    })
}

fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = users.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let is_user = fields.next() == Some(name);
        is_user.then_some(fields)
    })?;
    Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
}
