//! A Redis Cluster: one connection to each server that has slots, and the knowledge which slot is where.
//!
//! Each server has a client of its own, so that one that dies does not hold up the queues of the others. A command goes
//! to the server of its slot; a redirection is followed, because the command was not carried out. What is known is
//! renewed after a redirection and for as long as a server cannot be reached.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::Value;
use fred::types::config::{Config, Server, ServerConfig};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::slots::{Slots, moved};
use super::{RedisConfig, RedisError, Reply, build, report, send, within};

/// How often one command may be sent elsewhere: more would mean that the servers disagree.
const MAX_REDIRECTIONS: u32 = 8;

/// Nothing was carried out and soon may be: the slot is being moved, and when that is done its old server says where it
/// went; or the server does not see enough of the others for now.
const NOT_YET: [&str; 3] = ["ASK ", "TRYAGAIN", "CLUSTERDOWN"];

/// Between looks at a slot that is being moved or has no server.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one server may take to say where the slots are.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// How often what is known is renewed while a server cannot be reached, and at all.
const RENEWALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Cheap to clone; the connections end with the last clone.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Shared>);

struct Shared {
    config: RedisConfig,
    /// For every server but its address.
    parsed: Config,
    /// Read by every command, written when the cluster changed.
    view: RwLock<View>,
    /// Told that the view may be out of date; its own allocation, so that the task that renews keeps nothing alive.
    stale: Arc<Notify>,
    /// Where the clients live. The last handle may be dropped elsewhere, and later.
    runtime: Handle,
}

#[derive(Default)]
struct View {
    slots: Slots,
    clients: HashMap<Server, Client>,
}

impl Cluster {
    /// Asks the servers of the URL where the slots are and connects to all that have some.
    pub(super) async fn connect(config: &RedisConfig, parsed: &Config, deadline: Instant) -> Result<Self, Error> {
        let slots = ask_seeds(config, parsed, deadline).await?;
        let cluster = Self(Arc::new(Shared {
            config: config.clone(),
            parsed: parsed.clone(),
            view: RwLock::default(),
            stale: Arc::default(),
            runtime: Handle::current(),
        }));
        cluster.adopt(slots).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
        for (server, client) in cluster.clients() {
            within(deadline, client.wait_for_connect())
                .await
                .map_err(|error| Error::new(ErrorKind::IO, format!("{server}: {}", error.details())))?;
        }
        tokio::spawn(renew(Arc::downgrade(&cluster.0), Arc::clone(&cluster.0.stale)));
        Ok(cluster)
    }

    /// Sends a command to the server of `slot`, or to any for `None`, and follows redirections.
    pub(super) async fn call<F>(&self, slot: Option<u16>, send: impl Fn(Client) -> F) -> Result<Value, Error>
    where
        F: Future<Output = Result<Value, Error>>,
    {
        let deadline = Instant::now() + self.0.config.command_timeout;
        let mut redirections = 0;
        loop {
            let Some((server, client)) = self.client(slot) else {
                self.wait(deadline, "no server of the cluster has the slot").await?;
                continue;
            };
            let error = match send(client).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let problem = error.details();
            if let Some((slot, target)) = moved(problem, &server) {
                redirections += 1;
                if redirections > MAX_REDIRECTIONS {
                    return Err(error);
                }
                self.redirect(slot, target);
            } else if NOT_YET.iter().any(|word| problem.starts_with(word)) {
                self.wait(deadline, problem).await?;
            } else {
                if is_of_the_connection(&error) {
                    self.0.stale.notify_one();
                }
                return Err(error);
            }
        }
    }

    /// The server that has `slot`.
    pub(super) fn server(&self, slot: u16) -> Option<Server> {
        self.read(|view| view.slots.server(slot).cloned())
    }

    /// The client's configuration for one server.
    pub(super) fn config_of(&self, server: &Server) -> Config {
        self.0.config_of(server)
    }

    /// Every server that has slots, with its client.
    pub(super) fn clients(&self) -> Vec<(Server, Client)> {
        self.read(|view| view.clients.iter().map(|(server, client)| (server.clone(), client.clone())).collect())
    }

    /// What is known may be out of date.
    pub(super) fn note_stale(&self) {
        self.0.stale.notify_one();
    }

    fn client(&self, slot: Option<u16>) -> Option<(Server, Client)> {
        self.read(|view| {
            let server = match slot {
                Some(slot) => view.slots.server(slot)?,
                None => view.clients.iter().find(|(_, client)| client.is_connected()).or(view.clients.iter().next())?.0,
            };
            Some((server.clone(), view.clients.get(server)?.clone()))
        })
    }

    fn read<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.0.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn wait(&self, deadline: Instant, problem: &str) -> Result<(), Error> {
        self.0.stale.notify_one();
        if Instant::now() + PAUSE >= deadline {
            return Err(Error::new(ErrorKind::Timeout, problem.to_owned()));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    fn redirect(&self, slot: u16, target: Server) {
        let mut slots = self.read(|view| view.slots.clone());
        slots.assign(slot, target);
        if let Err(error) = self.adopt(slots) {
            tracing::warn!(%error, "cannot follow a redirection");
        }
        self.0.stale.notify_one();
    }

    fn adopt(&self, slots: Slots) -> Result<(), RedisError> {
        self.0.adopt(slots)
    }
}

impl Shared {
    fn config_of(&self, server: &Server) -> Config {
        Config { server: ServerConfig::Centralized { server: server.clone() }, ..self.parsed.clone() }
    }

    /// Makes `slots` what is known: connects to servers that are new, and lets go of those that have no slots left.
    fn adopt(&self, slots: Slots) -> Result<(), RedisError> {
        let servers = slots.servers();
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        for server in &servers {
            if !view.clients.contains_key(server) {
                // A server that is away now is tried until it has no slots any more.
                let config = Config { fail_fast: false, ..self.config_of(server) };
                let client = build(&self.config, config, false)?;
                let stale = Arc::clone(&self.stale);
                report(&client, move || stale.notify_one());
                client.connect();
                view.clients.insert(server.clone(), client);
            }
        }
        let gone: Vec<Server> = view.clients.keys().filter(|server| !servers.contains(server)).cloned().collect();
        for client in gone.iter().filter_map(|server| view.clients.remove(server)) {
            end(client);
        }
        view.slots = slots;
        Ok(())
    }

    fn is_connected(&self) -> bool {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.clients.values().all(ClientLike::is_connected)
    }

    /// Asks any server where the slots are.
    async fn renew(&self) {
        let clients: Vec<(Server, Client)> = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            view.clients.iter().map(|(server, client)| (server.clone(), client.clone())).collect()
        };
        let mut renewed = None;
        for (server, client) in clients.iter().filter(|(_, client)| client.is_connected()) {
            renewed = ask(server, client, Instant::now() + ASK_LIMIT).await.ok();
            if renewed.is_some() {
                break;
            }
        }
        if renewed.is_none() && !clients.iter().any(|(_, client)| client.is_connected()) {
            renewed = ask_seeds(&self.config, &self.parsed, Instant::now() + ASK_LIMIT).await.ok();
        }
        if let Some(Err(error)) = renewed.map(|slots| self.adopt(slots)) {
            tracing::warn!(%error, "cannot connect to a server of the cluster");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stale.notify_one();
        let view = self.view.get_mut().unwrap_or_else(PoisonError::into_inner);
        view.clients.drain().for_each(|(_, client)| end_on(&self.runtime, client));
    }
}

/// Keeps what is known of the cluster up to date until nobody uses it any more.
async fn renew(cluster: Weak<Shared>, stale: Arc<Notify>) {
    loop {
        let Some(is_connected) = cluster.upgrade().map(|shared| shared.is_connected()) else { return };
        let (often, seldom) = RENEWALS;
        let _ = tokio::time::timeout(if is_connected { seldom } else { often }, stale.notified()).await;
        let Some(shared) = cluster.upgrade() else { return };
        shared.renew().await;
        drop(shared);
        // Many commands notice a change at once: they are one reason to ask again, not many.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the servers of the URL, in order, until one knows where the slots are.
async fn ask_seeds(config: &RedisConfig, parsed: &Config, deadline: Instant) -> Result<Slots, Error> {
    let mut last = Error::new(ErrorKind::Cluster, "the URL names no server");
    for server in parsed.server.hosts() {
        let one = Config { server: ServerConfig::Centralized { server: server.clone() }, ..parsed.clone() };
        let client = build(config, one, true).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
        let limit = deadline.min(Instant::now() + config.connect_timeout.min(2 * ASK_LIMIT));
        let answer = match within(limit, client.init()).await {
            Ok(_) => ask(&server, &client, limit).await,
            Err(error) => Err(error),
        };
        end(client);
        match answer {
            Ok(slots) => return Ok(slots),
            Err(error) if super::is_final(&error) => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask(server: &Server, client: &Client, deadline: Instant) -> Result<Slots, Error> {
    let answer = within(deadline, send(client, "CLUSTER", vec!["SLOTS".into()], false)).await?;
    Slots::read(Reply::new(answer), server).ok_or_else(|| Error::new(ErrorKind::Cluster, "no slot has a server yet"))
}

fn is_of_the_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Timeout | ErrorKind::Cluster)
}

/// Ends a client in the background; commands under way get an error.
pub(super) fn end(client: Client) {
    if let Ok(runtime) = Handle::try_current() {
        end_on(&runtime, client);
    }
}

/// Ends a client on the runtime it lives on; once that is gone, so is the client.
pub(super) fn end_on(runtime: &Handle, client: Client) {
    runtime.spawn(async move {
        let _ = tokio::time::timeout(Duration::from_secs(1), client.quit()).await;
    });
}
