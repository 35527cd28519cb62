//! A `redis-server` (or `valkey-server`) of a test's own: private port, private folder, gone when dropped.

use std::path::Path;
use std::process::Child;

use tempfile::TempDir;

use super::program::{Program, log};
use super::{RedisClient, Reply};
use crate::ports::PortLease;
use crate::wait;

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
    program: Program,
    /// The whole configuration file of a Sentinel, which is started as nothing else.
    sentinel: Option<String>,
    arguments: Vec<String>,
    password: Option<String>,
}

impl RedisBuilder {
    /// Runs this program and no other.
    #[must_use]
    pub fn program(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    /// A Sentinel with this configuration; the port is added to it.
    pub(super) fn sentinel(configuration: String) -> Self {
        Self { sentinel: Some(configuration), ..Self::default() }
    }

    /// A user in the notation of `ACL SETUSER`, such as `alice on >secret ~bull:* +@read`; the default user stays.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.arguments.push("--user".to_owned());
        self.arguments.extend(user.split_whitespace().map(str::to_owned));
        self
    }

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
            let mut child = self.spawn(lease.port(), folder.path());
            if ready(&mut child, &self.client(lease.port())).await {
                return RedisServer { child, lease, folder, settings: self };
            }
            let log = log(folder.path());
            assert!(log.contains("already in use"), "redis did not start; its log:\n{log}");
        }
        panic!("redis found its port taken {STARTS} times in a row")
    }

    fn client(&self, port: u16) -> RedisClient {
        RedisClient::new(port, self.password.as_deref())
    }

    fn spawn(&self, port: u16, folder: &Path) -> Child {
        let port = port.to_string();
        let Some(sentinel) = &self.sentinel else {
            let own = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"];
            let mut arguments: Vec<String> = own.map(str::to_owned).into();
            arguments.extend(["--maxmemory-policy", "noeviction"].map(str::to_owned));
            arguments.extend_from_slice(&self.arguments);
            return self.program.spawn(folder, &arguments);
        };
        let file = folder.join("sentinel.conf");
        // A Sentinel keeps what it knows in its file, so a restart must not write it anew.
        if !file.exists() {
            std::fs::write(&file, format!("bind 127.0.0.1\nport {port}\n{sentinel}")).expect("the folder is ours");
        }
        self.program.spawn(folder, &["sentinel.conf".to_owned(), "--sentinel".to_owned()])
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

    /// The URL under which `user` connects to the database numbered `database`.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str, database: u8) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}/{database}", self.port())
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
        self.child = self.settings.spawn(self.port(), self.folder.path());
        let client = self.settings.client(self.port());
        assert!(ready(&mut self.child, &client).await, "redis did not restart; its log:\n{}", log(self.folder.path()));
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
