//! A `redis-server` (or `valkey-server`) of a test's own: private port, private folder, gone when dropped.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{RedisClient, Reply};
use crate::ports::PortLease;
use crate::wait;

/// Looked for on the PATH in this order.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// The lease makes a collision with another test impossible and with another program unlikely: a second try is plenty.
const STARTS: usize = 5;

/// A running server. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    lease: PortLease,
    folder: TempDir,
    settings: RedisBuilder,
}

/// What a server is to be started with.
#[derive(Debug, Clone, Default)]
pub struct RedisBuilder {
    arguments: Vec<String>,
    password: Option<String>,
}

impl RedisBuilder {
    /// One directive of the server's configuration, such as `("maxmemory-policy", "allkeys-lru")`.
    #[must_use]
    pub fn set(mut self, directive: &str, value: &str) -> Self {
        self.arguments.extend([format!("--{directive}"), value.to_owned()]);
        self
    }

    /// Keeps every acknowledged write over a kill: append-only file, synced before each answer.
    #[must_use]
    pub fn durable(self) -> Self {
        self.set("appendonly", "yes").set("appendfsync", "always")
    }

    /// Demands a password, which [`RedisServer::url`] then contains.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.set("requirepass", password)
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    ///
    /// When there is no server program, or it does not come up; the message then shows its log.
    pub async fn start(self) -> RedisServer {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for _ in 0..STARTS {
            let lease = PortLease::take();
            let mut child = spawn(&self, &lease, &folder);
            if ready(&mut child, &self.client(lease.port())).await {
                return RedisServer { child, lease, folder, settings: self };
            }
            let log = log(&folder);
            assert!(log.contains("already in use"), "redis did not start; its log:\n{log}");
        }
        panic!("redis found its port taken {STARTS} times in a row")
    }

    fn client(&self, port: u16) -> RedisClient {
        RedisClient::new(port, self.password.as_deref())
    }
}

impl RedisServer {
    /// A server with `noeviction`, nothing written to disk and no password.
    ///
    /// # Panics
    ///
    /// As [`RedisBuilder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server with settings of its own.
    #[must_use]
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.lease.port()
    }

    /// A `redis://` URL with the password, if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_on(self.port())
    }

    /// The same with another port: that of a [`crate::fault::Proxy`] in front of this server.
    #[must_use]
    pub fn url_on(&self, port: u16) -> String {
        match &self.settings.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// A client of our own, authenticated; it connects with its first call.
    pub async fn client(&self) -> RedisClient {
        self.settings.client(self.port())
    }

    /// Kills the server without a farewell. Only what [`RedisBuilder::durable`] kept comes back.
    pub fn kill(&mut self) {
        // Fails only when the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills the server if it runs, starts it again on the same port and folder, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not come up; the message shows its log.
    pub async fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.settings, &self.lease, &self.folder);
        let client = self.settings.client(self.port());
        assert!(ready(&mut self.child, &client).await, "redis did not restart; its log:\n{}", log(&self.folder));
    }

    /// Stops the process where it stands (SIGSTOP): connections stay, nothing is answered.
    pub fn pause(&self) {
        crate::signal::send("STOP", self.child.id());
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&self) {
        crate::signal::send("CONT", self.child.id());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(settings: &RedisBuilder, lease: &PortLease, folder: &TempDir) -> Child {
    for program in PROGRAMS {
        let log = File::create(folder.path().join("server.log")).expect("the log can be written");
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &lease.port().to_string(), "--save", ""]);
        command.args(["--appendonly", "no", "--maxmemory-policy", "noeviction"]).args(&settings.arguments);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => return child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("failed to start {program}: {error}"),
        }
    }
    panic!(
        "this test needs a Redis server: install the package redis-server (or valkey-server) so that it is on the PATH"
    )
}

/// Whether the server answers; false when its process ended first, or another server answers on its port.
async fn ready(child: &mut Child, client: &RedisClient) -> bool {
    let own = format!("process_id:{}", child.id());
    for _ in 0..wait::PROBES {
        if child.try_wait().expect("the child can be asked").is_some() {
            return false;
        }
        if is_own(client, &own).await && matches!(client.try_call(&["PING"]).await, Ok(Reply::Status(_))) {
            return true;
        }
        wait::pause().await;
    }
    false
}

/// Whether the server on the port is the process that was started. It answers this also while it loads its data.
async fn is_own(client: &RedisClient, process: &str) -> bool {
    match client.try_call(&["INFO", "server"]).await {
        Ok(Reply::Text(info)) => String::from_utf8_lossy(&info).lines().any(|line| line == process),
        _ => false,
    }
}

fn log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default()
}
