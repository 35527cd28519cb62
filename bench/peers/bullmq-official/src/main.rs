//! BullMQ's own Rust port, driven by the bench.

use bullmq::options::{JobOptions, QueueOptions, RedisConnectionOptions, WorkerOptions};
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
        Request::StartWorker { queue, concurrency, .. } => {
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
        Request::Listen { .. } => Ok(Answer { error: Some("only measured with Node".into()), ..Answer::default() }),
        Request::Notes => Ok(notes.answer()),
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

async fn add(queue: &Queue, how: Add) -> Result<Answer, Error> {
    let data = Data::of(how.payload);
    if how.bulk > 0 {
        for first in (0..how.count).step_by(how.bulk) {
            let job = |position| {
                let delay = Some(how.delay_ms(position)).filter(|delay| *delay > 0);
                let priority = Some(how.priority(position)).filter(|priority| *priority > 0);
                BulkJob::with_options("echo", &data, JobOptions { delay, priority, ..JobOptions::default() })
            };
            queue.add_bulk((first..how.count.min(first + how.bulk)).map(job).collect()).await?;
        }
        return Ok(Answer::default());
    }
    let adds = iter(0..how.count).map(async |_| queue.add("echo", data.clone()).await);
    let mut adds = adds.buffer_unordered(how.flight);
    while let Some(added) = adds.next().await {
        added?;
    }
    Ok(Answer::default())
}
