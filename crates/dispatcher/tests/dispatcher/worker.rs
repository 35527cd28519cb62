//! Workers for the tests: ours, with a handful of behaviours by job name.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use operator_core::{Failure, Json, QueueName};
use operator_queue::RedisConfig;
use operator_queue::worker::{ClaimedJob, Handler, Worker, WorkerOptions};

/// `fail` fails, `flaky` fails its first attempt, `hold` runs until it is stopped, `log` writes three lines, all others
/// return their data.
struct Behaviours;

impl Handler for Behaviours {
    fn run(&self, claimed: ClaimedJob) -> BoxFuture<'static, Result<Json, Failure>> {
        async move {
            let job = &claimed.job;
            match job.name.as_str() {
                "fail" => Err(Failure::unrecoverable("it cannot work").at(vec!["here".to_owned()])),
                "flaky" if job.attempts_made == 0 => Err(Failure::retryable("not yet")),
                "hold" => {
                    claimed.cancelled.cancelled().await;
                    Err(Failure::retryable("stopped"))
                }
                "log" => {
                    let lines = ["one", "two", "three"].map(str::to_owned);
                    claimed.queue.add_logs(job.id.as_str(), &lines, None).await?;
                    Ok(Json::null())
                }
                _ => Ok(job.data.clone()),
            }
        }
        .boxed()
    }
}

/// A worker of `queues` that leaves a record of every job it finishes.
pub(crate) async fn start(redis_url: &str, queues: &[&str]) -> Worker {
    let mut options = WorkerOptions::new(queues.iter().map(|name| QueueName::new(*name).unwrap())).with_concurrency(10);
    options.name = Some("tester".to_owned());
    options.history_max_entries = Some(100_000);
    Worker::start(&RedisConfig::new(redis_url), options, Arc::new(Behaviours)).await.unwrap()
}

/// Lets it finish what it runs.
pub(crate) async fn stop(worker: Worker) {
    worker.stop(Duration::from_secs(10)).await;
}
