//! The one module that knows the Redis client. It owns connections, reconnecting, deadlines and the script cache;
//! what commands mean is the rest of the crate's business.

mod blocking;
mod check;
mod config;
mod error;
mod presence;
mod reply;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use fred::bytes_utils::Str;
use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, LuaInterface};
use fred::types::{Builder, ClusterHash, CustomCommand, Value};

pub(crate) use blocking::BlockingConnection;
pub use config::RedisConfig;
pub use error::RedisError;
pub(crate) use presence::Presence;
pub(crate) use reply::{Arg, Reply};

use crate::scripts::{self, Script};

/// The script cache's names for our scripts.
static DIGESTS: LazyLock<HashMap<&'static str, String>> =
    LazyLock::new(|| scripts::ALL.iter().map(|script| (script.name, fred::util::sha1_hash(script.text))).collect());

/// A connection that commands share. Cheap to clone; the connection lives as long as the last clone.
#[derive(Clone)]
pub struct Redis(Arc<Connection>);

struct Connection {
    client: Client,
    config: RedisConfig,
    /// Queues that were made known over this connection, so that it is done once: as many as the process uses.
    registered: Mutex<HashSet<String>>,
}

impl Redis {
    /// Connects and checks that the server can hold queues safely.
    ///
    /// # Errors
    /// [`RedisError::Url`] for an unusable URL; [`RedisError::Unreachable`] when no connection came about within
    /// `connect_timeout`; [`RedisError::TooOld`] and [`RedisError::Evicts`] when the server is not fit.
    pub async fn connect(config: &RedisConfig) -> Result<Self, RedisError> {
        let parsed = config.parse()?;
        let deadline = Instant::now() + config.connect_timeout;
        let mut pauses = first_connection_pauses();
        let client = loop {
            let client = build(config, parsed.clone(), false)?;
            match within(deadline, client.init()).await {
                Ok(_) => break client,
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
        };
        let redis = Self(Arc::new(Connection { client, config: config.clone(), registered: Mutex::default() }));
        redis.report_reconnects();
        check::server(&redis).await?;
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

    /// Closes the connection; commands under way get an error.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.0.client.quit()).await;
    }

    /// Runs a script. It is sent by its digest, and with its text when the server does not know it (any more).
    /// A call whose connection broke is *not* repeated: it may have taken effect.
    pub(crate) async fn script(
        &self,
        script: &'static Script,
        keys: Vec<String>,
        args: Vec<Arg>,
    ) -> Result<Reply, RedisError> {
        let started = Instant::now();
        let args: Vec<Value> = args.into_iter().map(|arg| arg.0).collect();
        let digest = DIGESTS[script.name].as_str();
        let mut answer: Result<Value, _> = self.0.client.evalsha(digest, keys.clone(), args.clone()).await;
        if answer.as_ref().is_err_and(|error| error.details().starts_with("NOSCRIPT")) {
            answer = self.0.client.eval(Str::from_static(script.text), keys, args).await;
        }
        metrics::histogram!("operator_redis_call_seconds", "script" => script.name).record(started.elapsed());
        answer.map(Reply::new).map_err(RedisError::from)
    }

    /// Sends one command.
    pub(crate) async fn command(&self, name: &'static str, args: Vec<Arg>) -> Result<Reply, RedisError> {
        send(&self.0.client, name, args, false).await
    }

    /// Sends commands together and waits for all the answers; the first error is returned.
    pub(crate) async fn commands(&self, commands: Vec<(&'static str, Vec<Arg>)>) -> Result<Vec<Reply>, RedisError> {
        let sent = commands.into_iter().map(|(name, args)| send(&self.0.client, name, args, false));
        futures::future::try_join_all(sent).await
    }

    /// Whether `queue` was made known over this connection.
    pub(crate) fn has_registered(&self, queue: &str) -> bool {
        self.registered().contains(queue)
    }

    /// Remembers that `queue` was made known.
    pub(crate) fn note_registered(&self, queue: &str) {
        self.registered().insert(queue.to_owned());
    }

    fn registered(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reconnecting is the client's work; that it happened is worth a line and a count.
    fn report_reconnects(&self) {
        let mut reconnects = self.0.client.reconnect_rx();
        let mut errors = self.0.client.error_rx();
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
                        Err(_) => break,
                    },
                    error = errors.recv() => match error {
                        Ok((error, _)) => {
                            connected.set(0.0);
                            tracing::warn!(%error, "lost the connection to redis");
                        }
                        Err(_) => break,
                    },
                }
            }
        });
    }
}

fn build(config: &RedisConfig, parsed: fred::types::config::Config, is_blocking: bool) -> Result<Client, RedisError> {
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

async fn send(client: &Client, name: &'static str, args: Vec<Arg>, is_blocking: bool) -> Result<Reply, RedisError> {
    let command = CustomCommand::new_static(name, ClusterHash::FirstKey, is_blocking);
    let args: Vec<Value> = args.into_iter().map(|arg| arg.0).collect();
    let answer: Result<Value, _> = client.custom(command, args).await;
    answer.map(Reply::new).map_err(RedisError::from)
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
    matches!(error.kind(), ErrorKind::Auth | ErrorKind::Config | ErrorKind::Url | ErrorKind::InvalidArgument)
}

fn first_connection_pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
        .build()
}
