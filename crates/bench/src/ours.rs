//! Operator's queue as a peer: the driver with every safety and the history on, and default options otherwise.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{StreamExt, iter};
use operator_core::{Failure, Json, NewJob, QueueName};
use operator_queue::worker::{ClaimedJob, Handler, Worker, WorkerOptions};
use operator_queue::{Queue, QueueError, Redis, RedisConfig};
use peer_protocol::{Add, Answer, Data, Notes, Request, steadily};

/// As many entries as a worker's default setting leaves.
const HISTORY_MAX_ENTRIES: u64 = 100_000;

/// Notes that a job ran, and has nothing else to do.
struct Echo(Notes);

impl Handler for Echo {
    fn run(&self, claimed: ClaimedJob) -> BoxFuture<'static, Result<Json, Failure>> {
        let data: Data = claimed.job.data.decode().unwrap();
        self.0.take(&data);
        Box::pin(async { Ok(Json::null()) })
    }
}

pub(crate) async fn serve(redis_url: &str) {
    let config = RedisConfig::new(redis_url);
    let redis = Redis::connect(&config).await.unwrap();
    let notes = Notes::default();
    let mut worker: Option<Worker> = None;
    peer_protocol::serve(async |request| match request {
        Request::Add(how) => add(&open(&redis, &how.queue), how).await,
        Request::AddSteadily { queue, count, rate } => {
            let queue = open(&redis, &queue);
            steadily(count, rate, async || queue.add(job(&Data::now())).await.map(drop)).await?;
            Ok(Answer::default())
        }
        Request::StartWorker { queue, concurrency } => {
            let options = WorkerOptions {
                history_max_entries: Some(HISTORY_MAX_ENTRIES),
                ..WorkerOptions::new([QueueName::new(queue)?]).with_concurrency(concurrency)
            };
            worker = Some(Worker::start(&config, options, Arc::new(Echo(notes.clone()))).await?);
            Ok(Answer::default())
        }
        Request::StopWorker => {
            if let Some(worker) = worker.take() {
                worker.stop(Duration::from_secs(5)).await;
            }
            Ok::<_, QueueError>(notes.answer())
        }
    })
    .await;
}

fn open(redis: &Redis, name: &str) -> Queue {
    Queue::new(redis, QueueName::new(name).unwrap())
}

fn job(data: &Data) -> NewJob {
    NewJob::new("echo", Json::encode(data).unwrap())
}

async fn add(queue: &Queue, Add { count, flight, bulk, payload, .. }: Add) -> Result<Answer, QueueError> {
    let data = Data::of(payload);
    if bulk > 0 {
        for first in (0..count).step_by(bulk) {
            queue.add_bulk((first..count.min(first + bulk)).map(|_| job(&data)).collect()).await?;
        }
        return Ok(Answer::default());
    }
    let mut adds = iter(0..count).map(async |_| queue.add(job(&data)).await).buffer_unordered(flight);
    while let Some(added) = adds.next().await {
        added?;
    }
    Ok(Answer::default())
}
