//! A dispatcher from its first socket to its last answer: what is opened in which order, and how it ends.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use operator_core::settings::vars;
use operator_queue::{Redis, RedisConfig, RedisError, Role};
use operator_store::Store;
use operator_telemetry::{Exit, HealthState, Identity, Metrics, Signals, health};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::archive::Archive;
use crate::{Settings, StartError, routes};

/// How long `/ready` says no before the socket closes, so that a balancer which asks every second has heard it.
const NOTICE: Duration = Duration::from_secs(1);

/// How long requests under way may take to finish after that.
const REQUEST_DRAIN: Duration = Duration::from_secs(10);

/// How long the archive may take to store the batch it holds; what it does not store, another dispatcher takes over.
const ARCHIVE_DRAIN: Duration = Duration::from_secs(10);

/// How long the connections may take to close.
const CLOSE: Duration = Duration::from_secs(2);

/// A dispatcher that listens and has all it needs, but does not answer yet.
pub struct Dispatcher {
    listener: TcpListener,
    router: Router,
    health: HealthState,
    archive: Archive,
    redis: Redis,
    store: Store,
    /// Cancelled when the socket closes: ends what would go on for long, such as streams of events.
    closed: CancellationToken,
}

impl Dispatcher {
    /// Opens the socket, connects to Redis and opens the database, in which it applies missing migrations.
    ///
    /// # Errors
    /// [`StartError`] with what to change.
    pub async fn build(settings: &Settings, identity: Identity, metrics: Metrics) -> Result<Self, StartError> {
        let listener = settings.listen.listen()?;
        let (redis, store) = match tokio::join!(connect(&settings.redis), Store::open(&settings.store)) {
            (Ok(redis), Ok(store)) => (redis, store),
            (Err(redis), Err(store)) => return Err(StartError::Both { redis, store }),
            (Err(error), _) => return Err(error.into()),
            (_, Err(error)) => return Err(error.into()),
        };
        let archive = Archive::new(&redis, &store, settings.archive_interval);
        let closed = CancellationToken::new();
        let health = health_of(identity, metrics, &redis, &store, &archive);
        if settings.api.key.is_none() {
            let key = vars::OPERATOR_API_KEY.name;
            tracing::warn!(bind = %settings.listen.bind, "the API is open: whoever reaches it may do everything; set {key}");
        }
        let app = App::new(&redis, &store, settings, archive.pulse(), closed.clone());
        let router = routes::router(app, health.clone());
        Ok(Self { listener, router, health, archive, redis, store, closed })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Runs until the process is asked to end.
    pub async fn run_until_signalled(self) -> Exit {
        let signals = match Signals::install() {
            Ok(signals) => signals,
            Err(error) => {
                tracing::error!(%error, "failed to take over signals");
                return Exit::Internal;
            }
        };
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(signals.cancel(stop.clone(), abort.clone()));
        tokio::select! {
            exit = self.run(stop) => exit,
            () = abort.cancelled() => Exit::Interrupted,
        }
    }

    /// Answers requests and archives finished jobs until `stop` is cancelled; then says so on `/ready`, stops
    /// accepting, finishes the requests under way and the batch in hand, each within a bound.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        if let Some(address) = self.address() {
            tracing::info!(%address, "the dispatcher answers");
        }
        let Self { listener, router, health, archive, redis, store, closed } = self;
        let mut archive = archive.start();
        let server = health::serve(listener, router, closed.clone(), REQUEST_DRAIN);
        tokio::pin!(server);

        let mut exit = tokio::select! {
            () = stop.cancelled() => Exit::Ok,
            problem = archive.ended() => internal("the archive ended", &problem),
            served = &mut server => internal("the server ended", &format!("{served:?}")),
        };
        health.begin_drain();
        let serving = async {
            tokio::time::sleep(NOTICE).await;
            closed.cancel();
        };
        if exit == Exit::Ok {
            let (served, (), drained) = tokio::join!(server, serving, archive.stop(ARCHIVE_DRAIN));
            if let Err(error) = served {
                exit = internal("the server ended", &error.to_string());
            }
            if let Err(problem) = drained {
                exit = internal("the archive ended", &problem);
            }
        }
        bounded(redis.close()).await;
        bounded(store.close()).await;
        tracing::info!(exit = exit.code(), "the dispatcher has stopped");
        exit
    }
}

/// Connects, and finds out now what the user may not do.
async fn connect(config: &RedisConfig) -> Result<Redis, RedisError> {
    let redis = Redis::connect(config).await?;
    redis.check_rights(Role::Dispatcher).await?;
    Ok(redis)
}

fn health_of(identity: Identity, metrics: Metrics, redis: &Redis, store: &Store, archive: &Archive) -> HealthState {
    let (redis, store, pulse) = (redis.clone(), store.clone(), archive.pulse());
    HealthState::new(identity, metrics)
        .with_liveness("archive", move || pulse.check())
        .with_readiness("redis", move || {
            let redis = redis.clone();
            async move { redis.ping().await.map_err(|error| error.to_string()) }
        })
        .with_readiness("database", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|error| error.to_string()) }
        })
}

fn internal(what: &str, problem: &str) -> Exit {
    tracing::error!(problem, "{what}");
    Exit::Internal
}

async fn bounded(close: impl Future<Output = ()>) {
    // What does not close in time is closed by the end of the process.
    let _ = tokio::time::timeout(CLOSE, close).await;
}
