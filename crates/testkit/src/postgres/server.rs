//! One PostgreSQL server: a private folder and port, as fast and as forgetful as a test may have it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::programs::Programs;
use crate::ports::PortLease;
use crate::wait;

/// The superuser of the server. Connections from this machine need no password.
const ROLE: &str = "operator";

/// Nothing here must survive the machine, so nothing is written through to the disk; but a commit is written, as a test
/// that kills the server relies on it. Many tests share the connections.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=64MB",
];

/// Waits until its input closes, which happens when the test process ends in whatever way, then ends the server by
/// the id in its pid file and removes the folder. SIGQUIT is the shutdown that waits for nobody; the signals a
/// terminal sends to the whole group must not end this before the server.
const GUARD: &str = r#"
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
tries=0
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$0"
"#;

/// A running server. Dropping it ends the process and removes its folder; so does the end of the test process.
#[derive(Debug)]
pub struct PostgresServer {
    server: Child,
    guard: Child,
    lease: PortLease,
    folder: PathBuf,
    programs: Programs,
    /// How many databases were made, which names the next.
    databases: AtomicU32,
}

impl PostgresServer {
    /// The server that all tests of this binary share, started by the first that asks.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own, for a test that stops it.
    ///
    /// # Panics
    ///
    /// When PostgreSQL is not installed, or does not come up; the message then shows its log.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made").keep();
        let guard = spawn_guard(&folder);
        let programs = Programs::find(&folder);
        make_cluster(&programs, &folder);
        let lease = PortLease::take();
        let server = spawn(&programs, &folder, lease.port());
        let mut started = Self { server, guard, lease, folder, programs, databases: AtomicU32::new(0) };
        started.wait_until_ready();
        started
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Panics
    ///
    /// When the server does not make it.
    #[must_use]
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut command = self.programs.command("createdb", &self.folder);
        command.args(["-h", "127.0.0.1", "-U", ROLE, "-p", &self.port().to_string(), "--maintenance-db=postgres"]);
        run(command.arg(&name));
        self.url_of(&name)
    }

    /// The URL of the database called `name`, whether it exists or not.
    #[must_use]
    pub fn url_of(&self, name: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{name}", self.port())
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.lease.port()
    }

    /// Ends the server at once, connections and all. Committed data comes back with [`Self::restart`].
    pub fn kill(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            crate::signal::send("QUIT", self.server.id());
        }
        self.server.wait().expect("the server is a child of this process");
    }

    /// Ends the server if it runs, starts it again on the same port and data, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not come up; the message shows its log.
    pub fn restart(&mut self) {
        self.kill();
        self.server = spawn(&self.programs, &self.folder, self.port());
        self.wait_until_ready();
    }

    /// The last line of the server's pid file says how far it has come.
    fn wait_until_ready(&mut self) {
        for _ in 0..wait::PROBES {
            let pid_file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
            if pid_file.lines().last().is_some_and(|line| line.trim() == "ready") {
                return;
            }
            if !matches!(self.server.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(wait::INTERVAL);
        }
        panic!("postgres did not start; its log:\n{}", log(&self.folder));
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Each waits for what the guard does; neither can fail for a child of this process.
        let _ = self.server.wait();
        let _ = self.guard.wait();
    }
}

fn spawn_guard(folder: &Path) -> Child {
    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD]).arg(folder).current_dir("/");
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sh can be started")
}

fn make_cluster(programs: &Programs, folder: &Path) {
    let mut command = programs.command("initdb", folder);
    command.args(["-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
    run(command.arg(folder.join("data")));
}

fn spawn(programs: &Programs, folder: &Path, port: u16) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the folder takes a log");
    let mut command = programs.command("postgres", folder);
    command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
    command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"))
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_else(|error| format!("(no log: {error})"))
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
}
