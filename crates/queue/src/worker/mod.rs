//! The claiming side: one owning task per process, the *driver*, claims jobs, hands them to a [`Handler`] and settles
//! what became of them.
//!
//! The driver has a thread and a connection of its own, so that a job which blocks the program's threads stops neither
//! the renewal of locks nor the answers of others. Jobs run on the runtime that [`Worker::start`] was called on.

mod attempt;
mod call;
mod consumer;
mod driver;
mod hold;
mod lease;
mod metrics;
mod notices;
mod options;
mod oversight;
mod status;
mod waiter;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use operator_core::{Failure, Job, Json};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Redis, RedisConfig, Role};
pub(crate) use call::{expired_reason, reconnects};
pub use consumer::{Claimed, Consumer, HeldJob};
use driver::Driver;
pub use hold::Hold;
pub use options::{BackoffStrategy, RateLimit, WorkerOptions};
use options::{LONGEST, MAX_SLOTS};
pub use oversight::{StopCause, Watch};
pub use status::Status;

/// Runs jobs.
pub trait Handler: Send + Sync + 'static {
    /// Runs one job to its result. The future is dropped when the worker loses the job or hands it back; a panic in it
    /// fails the attempt and nothing else.
    fn run(&self, job: ClaimedJob) -> BoxFuture<'static, Result<Json, Failure>>;
}

/// A job that this worker holds.
#[derive(Clone)]
pub struct ClaimedJob {
    /// The job as it was claimed.
    pub job: Arc<Job>,
    /// Its queue, for what a running job reports.
    pub queue: Queue,
    /// Moves the job out of this attempt. What the handler returns after that is not looked at
    /// ([`Failure::moved`] says so to readers).
    pub hold: Hold,
    /// Cancelled when the job is to stop: it is no longer this worker's, is to be handed back or cancelled, or passed a
    /// limit. [`Watch::cause`] says which.
    pub cancelled: CancellationToken,
    /// The limits of the attempt, and where it shows that it lives.
    pub watch: Watch,
}

/// A running worker. Dropping it hands everything back at once; [`Worker::stop`] lets jobs finish first.
pub struct Worker {
    stop: watch::Sender<Option<Instant>>,
    pace: watch::Sender<Pace>,
    /// `None` once the driver has died.
    done: Option<oneshot::Receiver<Drained>>,
    status: Arc<Status>,
    redis: Redis,
}

/// How much a worker takes on; the driver reads it, the handle changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    is_paused: bool,
    slots: usize,
}

/// What a worker did with the jobs it held when it was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Jobs whose outcome was written after the stop.
    pub settled: u64,
    /// Jobs that went back in line.
    pub handed_back: u64,
    /// Jobs whose outcome could not be written because Redis was away: other workers recover them.
    pub left: u64,
}

impl Worker {
    /// Connects, announces the worker on its queues and begins to claim.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] when an option is out of its range; [`QueueError::Redis`] when Redis cannot be
    /// reached or is not fit, see [`Redis::connect`].
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub async fn start(
        config: &RedisConfig,
        options: WorkerOptions,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, QueueError> {
        options.check()?;
        let jobs_runtime = tokio::runtime::Handle::current();
        let (stop, stopping) = watch::channel(None);
        let (started, start) = oneshot::channel();
        let (finished, done) = oneshot::channel();
        let slots = options.concurrency;
        let (pace, paced) = watch::channel(Pace { is_paused: false, slots });
        let status = Arc::new(Status::new(slots));
        let (config, driver_status) = (config.clone(), Arc::clone(&status));
        std::thread::Builder::new()
            .name("operator-driver".to_owned())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(started.send(Err(no_thread(&error)))),
                };
                runtime.block_on(async move {
                    match prepare(&config, &options).await {
                        Ok((redis, queues)) => {
                            let shared = redis.clone();
                            let driver = Driver::new(redis, queues, options, handler, jobs_runtime, driver_status);
                            // Whoever started the worker is gone: claim nothing.
                            if started.send(Ok(shared)).is_err() {
                                return;
                            }
                            let _ = finished.send(driver.run(stopping, paced).await);
                        }
                        Err(error) => drop(started.send(Err(error))),
                    }
                });
                runtime.shutdown_timeout(Duration::from_secs(1));
            })
            .map_err(|error| no_thread(&error))?;
        let redis = start.await.unwrap_or_else(|_| Err(no_thread(&"it ended at once")))?;
        Ok(Self { stop, pace, done: Some(done), status, redis })
    }

    /// What the worker is doing, for health checks and gauges.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// The connection the worker shares, for readiness checks.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Stops claiming until [`Worker::resume`]; jobs of a claim that is under way still come. Running jobs go on, and
    /// [`Status::idle`] waits for their end.
    pub fn pause(&self) {
        self.pace.send_modify(|pace| pace.is_paused = true);
    }

    /// Claims again.
    pub fn resume(&self) {
        self.pace.send_modify(|pace| pace.is_paused = false);
    }

    /// Whether the worker was paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pace.borrow().is_paused
    }

    /// Runs up to `slots` jobs at a time from now on, at least one. Jobs that run beyond it end in their own time.
    pub fn set_concurrency(&self, slots: usize) {
        let slots = slots.max(1);
        self.status.set_slots(slots);
        self.pace.send_modify(|pace| pace.slots = slots);
    }

    /// Waits until the worker ends although nobody stopped it: a defect, after which it claims nothing any more.
    pub async fn died(&mut self) {
        if let Some(done) = &mut self.done {
            let _ = done.await;
            self.done = None;
        }
    }

    /// Stops claiming, lets running jobs finish for up to `drain`, and hands the rest back without costing them an
    /// attempt. One that has died holds nothing back: its jobs are recovered as stalled.
    pub async fn stop(self, drain: Duration) -> Drained {
        let _ = self.stop.send(Some(Instant::now() + drain.min(LONGEST)));
        let drained = match self.done {
            Some(done) => done.await.ok(),
            None => None,
        };
        drained.unwrap_or_else(|| {
            tracing::error!("the claim loop has died: other workers recover its jobs");
            Drained::default()
        })
    }
}

/// Connects, checks what could go wrong later, and makes the queues known.
async fn prepare(config: &RedisConfig, options: &WorkerOptions) -> Result<(Redis, Vec<Queue>), QueueError> {
    let redis = Redis::connect(config).await?;
    redis.check_rights(Role::Worker).await?;
    let queues: Vec<Queue> = options.queues.iter().map(|name| Queue::new(&redis, name.clone())).collect();
    for queue in &queues {
        redis.check_hash_tag(&queue.keys)?;
    }
    let slots = waiter::groups(&queues).len();
    if slots > MAX_SLOTS {
        let problem = format!(
            "{slots} hash tags need as many connections, and {MAX_SLOTS} are the limit: give queues a common hash tag, \
             or start several workers"
        );
        return Err(QueueError::InvalidArgument { field: "queues", problem });
    }
    for queue in &queues {
        queue.register().await?;
    }
    Ok((redis, queues))
}

fn no_thread(problem: &dyn std::fmt::Display) -> QueueError {
    QueueError::Corrupt { what: "the worker's own thread".to_owned(), problem: problem.to_string() }
}
