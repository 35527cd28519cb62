//! BullMQ's own Rust port, driven by the bench.

use bullmq::options::{QueueOptions, RedisConnectionOptions, WorkerOptions};
use bullmq::{BulkJob, Error, Queue, Worker};
use futures::stream::{StreamExt, iter};
use peer_protocol::{Add, Answer, Data, Notes, Request, serve, steadily};

#[tokio::main]
async fn main() {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL says where the server is");
    let connection = || RedisConnectionOptions { url: url.clone(), ..RedisConnectionOptions::default() };
    let notes = Notes::default();
    let mut worker: Option<Worker> = None;
    serve(async |request| match request {
        Request::Add(how) => add(&open(&how.queue, connection()).await?, how).await,
        Request::AddSteadily { queue, count, rate } => {
            let queue = open(&queue, connection()).await?;
            steadily(count, rate, async || queue.add("echo", Data::now()).await.map(drop)).await?;
            Ok(Answer::default())
        }
        Request::StartWorker { queue, concurrency } => {
            let notes = notes.clone();
            let processor = move |job: bullmq::Job, _| {
                let data: Data = serde_json::from_value(job.data().clone()).expect("the bench's own data");
                notes.take(&data);
                async { Ok(serde_json::Value::Null) }
            };
            let options = WorkerOptions { connection: connection(), concurrency, ..WorkerOptions::default() };
            worker = Some(Worker::with_options(&queue, processor, options).await?);
            Ok(Answer::default())
        }
        Request::StopWorker => {
            if let Some(worker) = worker.take() {
                worker.close(5000).await?;
            }
            Ok(notes.answer())
        }
    })
    .await;
}

async fn open(name: &str, connection: RedisConnectionOptions) -> Result<Queue, Error> {
    Queue::with_options(name, QueueOptions { connection, ..QueueOptions::default() }).await
}

async fn add(queue: &Queue, Add { count, flight, bulk, payload, .. }: Add) -> Result<Answer, Error> {
    let data = Data::of(payload);
    if bulk > 0 {
        for first in (0..count).step_by(bulk) {
            let jobs = (first..count.min(first + bulk)).map(|_| BulkJob::new("echo", &data)).collect();
            queue.add_bulk(jobs).await?;
        }
        return Ok(Answer::default());
    }
    let mut adds = iter(0..count).map(async |_| queue.add("echo", data.clone()).await).buffer_unordered(flight);
    while let Some(added) = adds.next().await {
        added?;
    }
    Ok(Answer::default())
}
