//! The server programs: which one, where it is, and how it is started as what.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where `cargo xtask test` puts a server that no package of the system brings.
const PROVIDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers");

/// Which server program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Program {
    /// Whichever is there, Redis before Valkey.
    #[default]
    Either,
    /// `valkey-server` and no other.
    Valkey,
}

impl Program {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Either => &["redis-server", "valkey-server"],
            Self::Valkey => &["valkey-server"],
        }
    }

    /// The program's path.
    ///
    /// # Panics
    ///
    /// When it is nowhere; the message says what to install.
    fn find(self) -> PathBuf {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).chain([PathBuf::from(PROVIDED)]).collect();
        let find = |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file());
        self.names().iter().find_map(find).unwrap_or_else(|| {
            let names = self.names().join(" or ");
            panic!("this test needs {names}: install the package, or run `cargo xtask test`, which provides it")
        })
    }

    /// Starts the program in `folder`, its output in `server.log` there.
    pub(super) fn spawn(self, folder: &Path, arguments: &[String]) -> Child {
        let log = File::create(folder.join("server.log")).expect("the log can be written");
        let program = self.find();
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        command.spawn().unwrap_or_else(|error| panic!("failed to start {}: {error}", program.display()))
    }
}

/// What the program printed.
pub(super) fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("server.log")).unwrap_or_default()
}
