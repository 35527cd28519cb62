//! Operator's queue as a peer: the driver with every safety and the history on, and default options otherwise.

use std::future::pending;
use std::iter::once;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{StreamExt, TryStreamExt, iter};
use operator_core::{Failure, FlowJob, Json, NewJob, Priority, QueueName};
use operator_queue::events::EventsOptions;
use operator_queue::worker::{ClaimedJob, Handler, Worker, WorkerOptions};
use operator_queue::{FlowProducer, Queue, QueueError, Redis, RedisConfig};
use peer_protocol::{Add, Answer, Data, Notes, Request, steadily};

/// As many entries as a worker's default setting leaves.
const HISTORY_MAX_ENTRIES: u64 = 100_000;

/// Notes that a job ran, and has nothing else to do: it ends at once, or never.
struct Echo {
    notes: Notes,
    holds: bool,
}

impl Handler for Echo {
    fn run(&self, claimed: ClaimedJob) -> BoxFuture<'static, Result<Json, Failure>> {
        let data: Data = claimed.job.data.decode().unwrap();
        self.notes.take(&data);
        let holds = self.holds;
        Box::pin(async move { if holds { pending().await } else { Ok(Json::null()) } })
    }
}

pub(crate) async fn serve(redis_url: &str) {
    let config = RedisConfig::new(redis_url);
    let redis = Redis::connect(&config).await.unwrap();
    let notes = Notes::default();
    let mut running: Vec<Worker> = Vec::new();
    peer_protocol::serve(async |request| match request {
        Request::Add(how) => add(&redis, how).await,
        Request::AddSteadily { queue, count, rate } => {
            let queue = open(&redis, &queue);
            steadily(count, rate, async || queue.add(job(&Data::now())).await.map(drop)).await?;
            Ok(Answer::default())
        }
        Request::StartWorker { queue, concurrency, forgets, holds, queues, workers } => {
            let others = (1..queues).map(|other| QueueName::new(format!("{queue}-{other}")));
            let served: Vec<QueueName> =
                once(QueueName::new(queue.as_str())).chain(others).collect::<Result<_, _>>()?;
            for _ in 0..workers {
                let options = WorkerOptions {
                    history_max_entries: (!forgets).then_some(HISTORY_MAX_ENTRIES),
                    ..WorkerOptions::new(served.clone()).with_concurrency(concurrency)
                };
                let echo = Echo { notes: notes.clone(), holds };
                running.push(Worker::start(&config, options, Arc::new(echo)).await?);
            }
            Ok(Answer::default())
        }
        Request::Notes => Ok(notes.answer()),
        Request::Listen { queue } => {
            let mut events = open(&redis, &queue).events(EventsOptions::default()).await?;
            tokio::spawn(async move { while events.next().await.is_some() {} });
            Ok(Answer::default())
        }
        Request::StopWorker => {
            for worker in running.drain(..) {
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

async fn add(redis: &Redis, how: Add) -> Result<Answer, QueueError> {
    let (queue, data) = (open(redis, &how.queue), Data::of(how.payload));
    for first in (0..how.count).step_by(how.bulk.max(1)).filter(|_| how.bulk > 0) {
        let positions = first..how.count.min(first + how.bulk);
        if how.children > 0 {
            let flow = flow(queue.name(), &data, how.children);
            FlowProducer::new(redis).with_max_jobs(usize::MAX).add_bulk(&vec![flow; positions.len()]).await?;
        } else {
            queue.add_bulk(positions.map(|position| job_at(&how, &data, position)).collect()).await?;
        }
    }
    if how.bulk == 0 {
        let adds = iter(0..how.count).map(async |_| queue.add(job(&data)).await);
        adds.buffer_unordered(how.flight).try_for_each(async |_| Ok(())).await?;
    }
    Ok(Answer::default())
}

fn job_at(how: &Add, data: &Data, position: usize) -> NewJob {
    let mut job = job(data);
    job.opts.delay_ms = how.delay_ms(position);
    job.opts.priority = Priority::new(how.priority(position)).unwrap();
    job
}

fn flow(queue: &QueueName, data: &Data, children: usize) -> FlowJob {
    let NewJob { name, data, opts } = job(data);
    let child = FlowJob { name, queue_name: queue.clone(), data, opts, children: Vec::new() };
    FlowJob { children: vec![child.clone(); children], ..child }
}
