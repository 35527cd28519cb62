//! The one module that knows the Redis client. It owns connections, reconnecting, deadlines and the script cache;
//! what commands mean is the rest of the crate's business.

mod config;
mod error;
mod reply;
mod tls;
mod url;

mod check;
mod cluster;
mod rights;
mod route;
mod slots;

mod blocking;
mod presence;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use fred::bytes_utils::Str;
use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, LuaInterface};
use fred::types::config::{Config, Server, ServerConfig};
use fred::types::{Builder, ClusterHash, CustomCommand, Key, Value};
use tokio::runtime::Handle;

pub(crate) use blocking::BlockingConnection;
use cluster::Cluster;
pub use config::RedisConfig;
pub use error::RedisError;
pub(crate) use presence::Presence;
pub(crate) use reply::{Arg, Reply};
pub use rights::Role;

use crate::events::Watches;
use crate::gather::Gatherings;
use crate::keys::{self, Keys};
use crate::scripts::{self, Script};

/// The script cache's names for our scripts.
static DIGESTS: LazyLock<HashMap<&'static str, String>> =
    LazyLock::new(|| scripts::ALL.iter().map(|script| (script.name, fred::util::sha1_hash(script.text))).collect());

/// A connection that commands share. Cheap to clone; the connection lives as long as the last clone.
#[derive(Clone)]
pub struct Redis(Arc<Connection>);

struct Connection {
    line: Line,
    config: RedisConfig,
    /// For connections that are made later.
    parsed: Config,
    /// Queues that were made known over this connection, so that it is done once: as many as the process uses.
    registered: Mutex<HashSet<String>>,
    /// Who waits for jobs over this connection.
    watches: Watches,
    /// Who waits to add a job over this connection.
    gatherings: Gatherings,
    /// Where the client lives. The last handle may be dropped elsewhere, and later.
    runtime: Handle,
}

/// The keys that a script is called with. All calls with one of these share the bytes.
#[derive(Clone)]
pub(crate) struct ScriptKeys(Arc<[Bytes]>);

impl FromIterator<String> for ScriptKeys {
    fn from_iter<I: IntoIterator<Item = String>>(keys: I) -> Self {
        Self(keys.into_iter().map(Bytes::from).collect())
    }
}

/// What commands go over.
enum Line {
    /// The one server, or the one the Sentinels call the master.
    Single(Client),
    /// The servers of a cluster.
    Cluster(Cluster),
}

/// One server, for commands that each server answers for itself.
pub(crate) struct ServerHandle(Client);

impl ServerHandle {
    /// Sends one command to this server.
    pub(crate) async fn command(&self, name: &'static str, args: Vec<Arg>) -> Result<Reply, RedisError> {
        Ok(Reply::new(send(&self.0, name, args, false).await?))
    }
}

impl Redis {
    /// Connects and checks that the server can hold queues safely.
    ///
    /// # Errors
    /// [`RedisError::Url`] for an unusable URL; [`RedisError::Unreachable`] when no connection came about within
    /// `connect_timeout`; [`RedisError::RefusedUs`] and [`RedisError::Tls`] when it will not come about either;
    /// [`RedisError::TooOld`], [`RedisError::Evicts`] and [`RedisError::WrongKind`] when the server is not fit.
    pub async fn connect(config: &RedisConfig) -> Result<Self, RedisError> {
        let parsed = config.parse()?;
        let line = tokio::select! {
            line = first_connection(config, &parsed) => match line {
                // The time was up before anybody looked for the reason.
                Err(error @ RedisError::Unreachable { .. }) => {
                    return Err(tls::find_mismatch(config, &parsed).await.unwrap_or(error));
                }
                line => line?,
            },
            error = tls::mismatch(config, &parsed) => return Err(error),
        };
        let redis = Self(Arc::new(Connection {
            line,
            config: config.clone(),
            parsed,
            registered: Mutex::default(),
            watches: Watches::default(),
            gatherings: Gatherings::default(),
            runtime: Handle::current(),
        }));
        check::servers(&redis).await?;
        Ok(redis)
    }

    /// The first segment of every key.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0.config.prefix
    }

    /// The configuration this connection was made with.
    #[must_use]
    pub fn config(&self) -> &RedisConfig {
        &self.0.config
    }

    /// Asks whether Redis answers.
    ///
    /// # Errors
    /// [`RedisError`] when it does not, within the command timeout.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.command("PING", Vec::new()).await.map(drop)
    }

    /// Whether this is a cluster, in which the keys of a queue must share a hash tag.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.0.line, Line::Cluster(_))
    }

    /// Closes the connection; commands under way get an error.
    pub async fn close(&self) {
        let quits = self.clients().into_iter().map(|client| async move { client.quit().await });
        let _ = tokio::time::timeout(Duration::from_secs(1), futures::future::join_all(quits)).await;
    }

    /// Runs a script. It is sent by its digest, and with its text when the server does not know it (any more).
    /// A call whose connection broke is *not* repeated: it may have taken effect.
    pub(crate) async fn script(
        &self,
        script: &'static Script,
        keys: ScriptKeys,
        args: Vec<Arg>,
    ) -> Result<Reply, RedisError> {
        let started = Instant::now();
        let args: Vec<Value> = args.into_iter().map(|arg| arg.0).collect();
        let answer = match &self.0.line {
            Line::Single(client) => evaluate(client, script, keys, args).await,
            Line::Cluster(cluster) => {
                let slot = keys.0.first().map(|key| keys::slot(&String::from_utf8_lossy(key)));
                let send = |client| {
                    let (keys, args) = (keys.clone(), args.clone());
                    async move { evaluate(&client, script, keys, args).await }
                };
                // Boxed, so that the calls to a single server need no room for it.
                Box::pin(cluster.call(slot, send)).await
            }
        };
        metrics::histogram!("operator_redis_call_seconds", "script" => script.name).record(started.elapsed());
        self.answer(answer)
    }

    /// Sends one command; in a cluster, to the server of its first key.
    pub(crate) async fn command(&self, name: &'static str, args: Vec<Arg>) -> Result<Reply, RedisError> {
        let answer = match &self.0.line {
            Line::Single(client) => send(client, name, args, false).await,
            Line::Cluster(cluster) => {
                let slot = route::slot_of(name, &args);
                let send = |client| {
                    let args = args.clone();
                    async move { send(&client, name, args, false).await }
                };
                cluster.call(slot, send).await
            }
        };
        self.answer(answer)
    }

    /// Sends commands together and waits for all the answers; the first error is returned.
    pub(crate) async fn commands(&self, commands: Vec<(&'static str, Vec<Arg>)>) -> Result<Vec<Reply>, RedisError> {
        let sent = commands.into_iter().map(|(name, args)| self.command(name, args));
        futures::future::try_join_all(sent).await
    }

    /// Every server that holds keys: one, or those of the cluster.
    pub(crate) fn servers(&self) -> Vec<ServerHandle> {
        self.clients().into_iter().map(ServerHandle).collect()
    }

    /// A connection called `name` for commands that the server holds. It connects with its first call.
    pub(crate) fn blocking(&self, name: String) -> BlockingConnection {
        BlockingConnection::new(self, name)
    }

    /// Refuses a queue whose keys a cluster would spread over its servers.
    pub(crate) fn check_hash_tag(&self, keys: &Keys) -> Result<(), RedisError> {
        if self.is_cluster() && keys.hash_tag().is_none() {
            let queue = keys.prefix().strip_prefix(self.prefix()).unwrap_or_default().trim_matches(':').to_owned();
            return Err(RedisError::NoHashTag { prefix: self.prefix().to_owned(), queue });
        }
        Ok(())
    }

    fn clients(&self) -> Vec<Client> {
        match &self.0.line {
            Line::Single(client) => vec![client.clone()],
            Line::Cluster(cluster) => cluster.clients().into_iter().map(|(_, client)| client).collect(),
        }
    }

    /// Where a connection for `slot` goes: in a cluster, to the server that has it.
    fn target(&self, slot: Option<u16>) -> Result<(Option<Server>, Config), RedisError> {
        let Line::Cluster(cluster) = &self.0.line else { return Ok((None, self.0.parsed.clone())) };
        let unknown = || RedisError::Lost { problem: "no server of the cluster has the slot".to_owned() };
        let server = slot.and_then(|slot| cluster.server(slot)).ok_or_else(unknown)?;
        let parsed = cluster.config_of(&server);
        Ok((Some(server), parsed))
    }

    /// A connection broke that the cluster's own client does not see.
    fn note_stale(&self) {
        if let Line::Cluster(cluster) = &self.0.line {
            cluster.note_stale();
        }
    }

    /// Redis 6.2 hides in a script's error that the server is a replica by now, and then the client does not see that
    /// it has to look for the master.
    fn answer(&self, answer: Result<Value, fred::error::Error>) -> Result<Reply, RedisError> {
        if let (Err(error), Line::Single(client)) = (&answer, &self.0.line)
            && error.details().contains("-READONLY")
        {
            let client = client.clone();
            tokio::spawn(async move { client.force_reconnection().await });
        }
        Ok(Reply::new(answer?))
    }

    /// Whether `queue` was made known over this connection.
    pub(crate) fn has_registered(&self, queue: &str) -> bool {
        self.registered().contains(queue)
    }

    /// Remembers that `queue` was made known.
    pub(crate) fn note_registered(&self, queue: &str) {
        self.registered().insert(queue.to_owned());
    }

    pub(crate) fn watches(&self) -> &Watches {
        &self.0.watches
    }

    pub(crate) fn gatherings(&self) -> &Gatherings {
        &self.0.gatherings
    }

    /// Where the client lives: what goes on without its caller runs there.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    fn registered(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `queue` made known again with the next job added over this connection.
    pub(crate) fn forget_registered(&self, queue: &str) {
        self.registered().remove(queue);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Line::Single(client) = &self.line {
            cluster::end_on(&self.runtime, client.clone());
        }
    }
}

/// Tries to connect until the time is up.
async fn first_connection(config: &RedisConfig, parsed: &Config) -> Result<Line, RedisError> {
    let deadline = Instant::now() + config.connect_timeout;
    let mut pauses = first_connection_pauses();
    loop {
        match connect(config, parsed, deadline).await {
            Ok(line) => return Ok(line),
            Err(error) if is_final(&error) => return Err(RedisError::refused(config, &error)),
            Err(error) => {
                let pause = pauses.next().unwrap_or(Duration::from_secs(1));
                if Instant::now() + pause >= deadline {
                    return Err(RedisError::unreachable(config, &error));
                }
                tracing::warn!(address = config.address(), %error, "redis does not answer; trying again");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn connect(config: &RedisConfig, parsed: &Config, deadline: Instant) -> Result<Line, fred::error::Error> {
    if matches!(parsed.server, ServerConfig::Clustered { .. }) {
        return Ok(Line::Cluster(Cluster::connect(config, parsed, deadline).await?));
    }
    let client = build(config, parsed.clone(), false)
        .map_err(|error| fred::error::Error::new(fred::error::ErrorKind::Config, error.to_string()))?;
    within(deadline, client.init()).await?;
    report(&client, || {});
    Ok(Line::Single(client))
}

fn build(config: &RedisConfig, parsed: Config, is_blocking: bool) -> Result<Client, RedisError> {
    // Several TLS providers may be linked; the first call decides, later ones are refused and that is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Builder::from_config(parsed);
    builder.set_connection_config(config.connection(is_blocking));
    if !is_blocking {
        builder.set_performance_config(config.performance());
        builder.set_policy(config::reconnect_policy());
    }
    builder.build().map_err(|error| RedisError::Url { problem: error.details().to_owned() })
}

/// Reconnecting is the client's work; that it happened is worth a line and a count.
fn report(client: &Client, on_loss: impl Fn() + Send + 'static) {
    use tokio::sync::broadcast::error::RecvError;
    let (mut reconnects, mut errors) = (client.reconnect_rx(), client.error_rx());
    let connected = metrics::gauge!("operator_redis_connected");
    connected.set(1.0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                server = reconnects.recv() => match server {
                    Ok(server) => {
                        metrics::counter!("operator_redis_reconnects_total").increment(1);
                        connected.set(1.0);
                        tracing::info!(%server, "connected to redis again");
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
                error = errors.recv() => match error {
                    Ok((error, _)) => {
                        connected.set(0.0);
                        on_loss();
                        tracing::warn!(%error, "lost the connection to redis");
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
            }
        }
    });
}

async fn evaluate(
    client: &Client,
    script: &'static Script,
    keys: ScriptKeys,
    args: Vec<Value>,
) -> Result<Value, fred::error::Error> {
    let digest = Str::from_static(DIGESTS[script.name].as_str());
    let named = || keys.0.iter().cloned().map(Key::from).collect::<Vec<Key>>();
    // What is kept for a second call shares the bytes.
    let answer: Result<Value, _> = client.evalsha(digest, named(), args.clone()).await;
    if answer.as_ref().is_err_and(|error| error.details().starts_with("NOSCRIPT")) {
        return Box::pin(client.eval(Str::from_static(script.text), named(), args)).await;
    }
    answer
}

async fn send(
    client: &Client,
    name: &'static str,
    args: Vec<Arg>,
    is_blocking: bool,
) -> Result<Value, fred::error::Error> {
    let command = CustomCommand::new_static(name, ClusterHash::FirstKey, is_blocking);
    let args: Vec<Value> = args.into_iter().map(|arg| arg.0).collect();
    client.custom(command, args).await
}

async fn within<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, fred::error::Error>>,
) -> Result<T, fred::error::Error> {
    match tokio::time::timeout_at(deadline.into(), call).await {
        Ok(answer) => answer,
        Err(_) => Err(fred::error::Error::new(fred::error::ErrorKind::Timeout, "no answer in time")),
    }
}

/// Errors that waiting does not mend.
fn is_final(error: &fred::error::Error) -> bool {
    use fred::error::ErrorKind;
    let kinds = [ErrorKind::Auth, ErrorKind::Config, ErrorKind::Url, ErrorKind::InvalidArgument, ErrorKind::Tls];
    let words = ["DB index", "NOPERM", "cluster support disabled", error::UNKNOWN_MASTER];
    error::is_tls(error) || kinds.contains(error.kind()) || words.iter().any(|word| error.details().contains(word))
}

fn first_connection_pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
        .build()
}
