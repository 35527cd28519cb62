//! What every handler is given: the queues, the history, and the settings of the API. Nothing in here is state that
//! another dispatcher would need: what is remembered only spares Redis or the database a question.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use operator_core::QueueName;
use operator_queue::{Queue, QueueError, Redis, registry};
use operator_store::{RecordCount, Store, StoreError};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::archive::Pulse;
use crate::catalogue::Catalogue;
use crate::gauges::Readings;
use crate::problem::{Code, Problem};
use crate::{ApiSettings, Settings};

/// How long a queue counts as registered. After a flush of Redis it is made known again within this time.
const REGISTERED_FOR: Duration = Duration::from_secs(60);

/// Above this many remembered queues the memory is emptied: registering again is cheap.
const MAX_REMEMBERED: usize = 10_000;

/// How long the counts of the history are reused: counting reads an index of every record.
const COUNTS_FOR: Duration = Duration::from_secs(15);

/// A handle on all of it; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

struct Parts {
    redis: Redis,
    store: Store,
    api: ApiSettings,
    catalogue: Catalogue,
    archive_interval: Duration,
    /// Beaten by the archive, read by `/scheduler/status`.
    pulse: Pulse,
    /// Cancelled when the dispatcher stops answering: what would go on for long ends then.
    stopping: CancellationToken,
    /// One permit per place among those who listen to events.
    listeners: Arc<Semaphore>,
    /// When each queue was last made known by this process.
    registered: Mutex<HashMap<QueueName, Instant>>,
    /// The counts of the history and when they were taken. Held while counting, so that the count is made once.
    counts: Mutex<Option<(Instant, Vec<RecordCount>)>>,
    /// When the gauges were last read. Held while they are, so that they are read once.
    gauges_read: Mutex<Readings>,
}

impl App {
    pub(crate) fn new(
        redis: &Redis,
        store: &Store,
        settings: &Settings,
        pulse: Pulse,
        stopping: CancellationToken,
    ) -> Self {
        Self(Arc::new(Parts {
            redis: redis.clone(),
            store: store.clone(),
            api: settings.api.clone(),
            catalogue: Catalogue::new(settings.api.catalogue_max_age),
            archive_interval: settings.archive_interval,
            pulse,
            stopping,
            listeners: Arc::new(Semaphore::new(settings.api.max_event_streams)),
            registered: Mutex::default(),
            counts: Mutex::default(),
            gauges_read: Mutex::default(),
        }))
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.0.redis
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.0.api
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    pub(crate) fn gauges_read(&self) -> &Mutex<Readings> {
        &self.0.gauges_read
    }

    pub(crate) fn archive_interval(&self) -> Duration {
        self.0.archive_interval
    }

    pub(crate) fn archive_runs(&self) -> bool {
        self.0.pulse.check().is_ok()
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// A place among those who listen to events, until it is dropped.
    pub(crate) fn listener_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0.listeners).try_acquire_owned().map_err(|_| {
            let most = self.0.api.max_event_streams;
            let detail = format!(
                "{most} listen to events already: end a stream, ask another dispatcher, or raise \
                OPERATOR_MAX_EVENT_STREAMS"
            );
            Problem::new(Code::TooManyListeners, detail)
        })
    }

    /// The queue called `name`, whether anybody has used it or not.
    pub(crate) fn queue(&self, name: QueueName) -> Queue {
        Queue::new(&self.0.redis, name).with_max_data_bytes(self.0.api.max_data_bytes)
    }

    /// Every queue there is, in order.
    pub(crate) async fn queues(&self) -> Result<Vec<Queue>, QueueError> {
        let names: BTreeSet<QueueName> = registry::known_queues(&self.0.redis).await?;
        Ok(names.into_iter().map(|name| self.queue(name)).collect())
    }

    /// Makes `queue` known to everybody, unless this process did so a short while ago.
    pub(crate) async fn register(&self, queue: &Queue) -> Result<(), QueueError> {
        let is_registered = |since: &Instant| since.elapsed() < REGISTERED_FOR;
        if self.0.registered.lock().await.get(queue.name()).is_some_and(is_registered) {
            return Ok(());
        }
        queue.register().await?;
        let mut registered = self.0.registered.lock().await;
        if registered.len() >= MAX_REMEMBERED {
            registered.clear();
        }
        registered.insert(queue.name().clone(), Instant::now());
        Ok(())
    }

    /// Asks every queue the same, all at once.
    pub(crate) async fn of_each<T, F>(&self, ask: impl Fn(Queue) -> F) -> Result<Vec<T>, QueueError>
    where
        F: Future<Output = Result<T, QueueError>>,
    {
        try_join_all(self.queues().await?.into_iter().map(ask)).await
    }

    /// How many records of each queue and status the history has, at most a few seconds old.
    pub(crate) async fn record_counts(&self) -> Result<Vec<RecordCount>, StoreError> {
        let mut counts = self.0.counts.lock().await;
        if let Some((taken, counts)) = counts.as_ref()
            && taken.elapsed() < COUNTS_FOR
        {
            return Ok(counts.clone());
        }
        let fresh = self.0.store.counts().await?;
        *counts = Some((Instant::now(), fresh.clone()));
        Ok(fresh)
    }
}
