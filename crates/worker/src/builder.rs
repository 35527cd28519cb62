//! What a worker is to serve and to run, put together before it starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use operator_core::{Failure, Job, Keep, QueueName};
use operator_packs::service::ServiceSettings;
use operator_packs::{Context, Registry, SystemSettings};
use operator_queue::catalogue::Advertisement;
use operator_queue::worker::{self, BackoffStrategy, RateLimit, WorkerOptions};
use operator_queue::{QueueError, RedisConfig};
use operator_telemetry::names;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handler::Jobs;
use crate::packs::{self, PackSettings};
use crate::{Settings, Worker, WorkerError};

/// Served when no queue is named, as `QUEUE_NAME` says.
const DEFAULT_QUEUE: &str = "default";

/// A worker that has not started: [`Worker::builder`] begins one.
pub struct WorkerBuilder {
    redis: RedisConfig,
    options: WorkerOptions,
    /// Checked at the start, so that building needs no error handling.
    queues: Vec<String>,
    registry: Registry,
    packs: PackSettings,
    services: ServiceSettings,
}

impl WorkerBuilder {
    pub(crate) fn new(redis: RedisConfig) -> Self {
        Self {
            redis,
            options: WorkerOptions::new([]),
            queues: Vec::new(),
            registry: Registry::with_system(SystemSettings::default()),
            packs: PackSettings::none(),
            services: ServiceSettings::default(),
        }
    }

    /// A worker as the environment describes it.
    pub(crate) fn from_settings(settings: &Settings) -> Self {
        Self {
            redis: settings.redis.clone(),
            options: settings.options.clone(),
            queues: settings.options.queues.iter().map(ToString::to_string).collect(),
            registry: Registry::with_system(settings.system.clone()),
            packs: settings.packs.clone(),
            services: settings.services.clone(),
        }
    }

    /// Serves one queue more; `default` when none is named.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queues.push(name.into());
        self
    }

    /// The first segment of every key; BullMQ's `bull` unless given.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.redis = self.redis.with_prefix(prefix);
        self
    }

    /// How many jobs run at a time, over all queues; one unless given.
    #[must_use]
    pub fn concurrency(mut self, slots: usize) -> Self {
        self.options = self.options.with_concurrency(slots);
        self
    }

    /// The name it is listed and recorded under.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// How long one attempt may run of a job that does not say itself; for ever unless given.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Lets no more than `max` jobs of a queue start within `duration`. All workers of a queue share one count, so give
    /// each the same numbers; a limit of the queue's own goes before.
    #[must_use]
    pub fn limiter(mut self, max: u64, duration: Duration) -> Self {
        self.options.limiter = Some(RateLimit { max, duration });
        self
    }

    /// Fails a job that was started `starts` times already, however its attempts ended: also those that were handed
    /// back, moved by the job itself or lost with their worker, which do not count as attempts.
    #[must_use]
    pub fn max_started_attempts(mut self, starts: u32) -> Self {
        self.options.max_started_attempts = Some(starts);
        self
    }

    /// Computes the wait before another attempt of jobs whose backoff has a type of your own. `wait` is given the job,
    /// how many attempts it has made (1 after the first) and why the last one failed; `None` lets no attempt follow.
    #[must_use]
    pub fn backoff(mut self, wait: impl Fn(&Job, u32, &Failure) -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.options.backoff = Some(BackoffStrategy::new(wait));
        self
    }

    /// Counts finished jobs by the minute, for `max_data_points` minutes, where BullMQ's `getMetrics` reads them.
    #[must_use]
    pub fn metrics(mut self, max_data_points: u32) -> Self {
        self.options.metrics_max_data_points = Some(max_data_points);
        self
    }

    /// What is kept of completed jobs that do not say themselves; all unless given.
    #[must_use]
    pub fn keep_completed(mut self, keep: Keep) -> Self {
        self.options.keep_completed = keep;
        self
    }

    /// What is kept of failed jobs that do not say themselves; all unless given.
    #[must_use]
    pub fn keep_failed(mut self, keep: Keep) -> Self {
        self.options.keep_failed = keep;
        self
    }

    /// Locks, stalled jobs, history: everything else that can be set.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut WorkerOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Runs jobs called `name` with `function`, whose first argument their data is decoded to.
    #[must_use]
    pub fn job<D, R, F, Fut>(self, name: &str, function: F) -> Self
    where
        D: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Fn(D, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Failure>> + Send + 'static,
    {
        self.with_job_types(|registry| {
            registry.register(name, function);
        })
    }

    /// Loads the pack in `folder`, or the packs in it.
    #[must_use]
    pub fn packs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.packs.folders.folders.push(folder.into());
        self.packs.folders.required = true;
        self
    }

    /// Where packs find secrets, what confines their programs, how what the worker runs is published.
    #[must_use]
    pub fn pack_settings(mut self, change: impl FnOnce(&mut PackSettings)) -> Self {
        change(&mut self.packs);
        self
    }

    /// Adds executors of other kinds, or a fallback for names that nobody registered.
    #[must_use]
    pub fn with_job_types(mut self, register: impl FnOnce(&mut Registry)) -> Self {
        register(&mut self.registry);
        self
    }

    /// Connects and begins to claim.
    ///
    /// # Errors
    /// [`WorkerError::Packs`] and [`WorkerError::CannotProvide`] when a pack cannot be used;
    /// [`WorkerError::Queue`] when a queue's name or a limit is not usable, or Redis cannot be reached or is not fit.
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub async fn start(mut self) -> Result<Worker, WorkerError> {
        if self.queues.is_empty() {
            self.queues.push(DEFAULT_QUEUE.to_owned());
        }
        let queues: Result<Vec<_>, _> = self.queues.into_iter().map(QueueName::new).collect();
        self.options.queues = queues.map_err(QueueError::from)?;
        for queue in &self.options.queues {
            names::start_counters(queue.as_str());
        }
        let manifests = packs::register(&mut self.registry, &self.packs, &self.services)?;
        let advert = packs::advert(&manifests, &self.registry, &self.options);
        let handler = Arc::new(Jobs::new(self.registry, &self.options));
        let running = worker::Worker::start(&self.redis, self.options.clone(), handler).await?;
        let advertised = Advertisement::publish(running.redis(), advert, self.packs.advertise).await?;
        Ok(Worker::new(running, advertised, &self.options))
    }
}
