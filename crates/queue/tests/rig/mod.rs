//! What the tests of this crate share: a private Redis, a queue on it, and workers whose jobs the test decides.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use operator_core::{Failure, JobOptions, JobState, Json, NewJob, QueueName};
use operator_queue::worker::{ClaimedJob, Handler, Worker, WorkerOptions};
use operator_queue::{Queue, Redis, RedisConfig};
use operator_testkit::redis::{RedisClient, RedisServer};
use operator_testkit::wait::eventually;
use serde_json::json;

/// A private server, a connection of ours, a raw client beside it, and a queue.
pub(crate) struct Rig {
    pub(crate) server: RedisServer,
    pub(crate) raw: RedisClient,
    pub(crate) config: RedisConfig,
    pub(crate) redis: Redis,
    pub(crate) queue: Queue,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::on(RedisServer::start().await).await
    }

    pub(crate) async fn on(server: RedisServer) -> Self {
        // Shown only when a test fails.
        let _ = tracing_subscriber::fmt().with_env_filter("operator_queue=debug,warn").with_test_writer().try_init();
        let config = RedisConfig::new(server.url());
        let redis = Redis::connect(&config).await.unwrap();
        let queue = Queue::new(&redis, QueueName::new("q").unwrap());
        Self { raw: server.client().await, server, config, redis, queue }
    }

    /// A worker with this many slots that runs jobs as their names say; see [`Script`].
    pub(crate) async fn worker(&self, concurrency: usize) -> Worker {
        self.worker_with(options(&self.queue, concurrency)).await
    }

    pub(crate) async fn worker_with(&self, options: WorkerOptions) -> Worker {
        Worker::start(&self.config, options, Arc::new(Script)).await.unwrap()
    }

    /// Waits until this many jobs are in `state`.
    pub(crate) async fn until(&self, state: JobState, count: u64) {
        let what = format!("{count} jobs {state}");
        eventually(&what, async || {
            let counts = self.queue.counts().await.ok()?;
            (counts.of(state) == count).then_some(())
        })
        .await;
    }

    /// The event names of the stream with the job they belong to, in order.
    pub(crate) async fn events(&self) -> Vec<String> {
        let entries = self.raw.call(&["XRANGE", "bull:q:events", "-", "+"]).await;
        let name = |entry: &operator_testkit::redis::Reply| {
            let fields = entry.list()[1].map();
            let job = fields.get("jobId").map_or(String::new(), |id| format!(" {id}"));
            format!("{}{job}", fields["event"])
        };
        entries.list().iter().map(name).collect()
    }
}

/// Options of a worker of `queue`, with short locks so that recovery is quick.
pub(crate) fn options(queue: &Queue, concurrency: usize) -> WorkerOptions {
    WorkerOptions {
        lock_duration: Duration::from_millis(1000),
        stalled_interval: Duration::from_millis(1000),
        ..WorkerOptions::new([queue.name().clone()]).with_concurrency(concurrency)
    }
}

/// A job called `name` under the id `id`.
pub(crate) fn job(name: &str, id: &str) -> NewJob {
    with(name, id, JobOptions::default())
}

pub(crate) fn with(name: &str, id: &str, opts: JobOptions) -> NewJob {
    let job_id = (!id.is_empty()).then(|| operator_core::JobId::from_wire(id));
    NewJob::new(name, json!({ "of": id })).with(JobOptions { job_id, ..opts })
}

/// Runs a job as its name says: `echo`, `fail`, `fatal`, `flaky` (fails once), `panic`, `hang`.
pub(crate) struct Script;

impl Handler for Script {
    fn run(&self, claimed: ClaimedJob) -> BoxFuture<'static, Result<Json, Failure>> {
        Box::pin(async move {
            let job = &claimed.job;
            match job.name.as_str() {
                "fail" => Err(Failure::retryable("it failed").at(vec!["somewhere".to_owned()])),
                "fatal" => Err(Failure::unrecoverable("no use")),
                "flaky" if job.attempts_made == 0 => Err(Failure::retryable("not yet")),
                "panic" => panic!("at the disco"),
                "hang" => std::future::pending().await,
                _ => Ok(job.data.clone()),
            }
        })
    }
}

/// Runs jobs with a function of the test's own.
pub(crate) struct Function<F>(pub(crate) F);

impl<F, Fut> Handler for Function<F>
where
    F: Fn(ClaimedJob) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Json, Failure>> + Send + 'static,
{
    fn run(&self, job: ClaimedJob) -> BoxFuture<'static, Result<Json, Failure>> {
        Box::pin((self.0)(job))
    }
}

/// A worker that runs every job with `run`.
pub(crate) async fn worker_of<F, Fut>(config: &RedisConfig, options: WorkerOptions, run: F) -> Worker
where
    F: Fn(ClaimedJob) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Json, Failure>> + Send + 'static,
{
    Worker::start(config, options, Arc::new(Function(run))).await.unwrap()
}
