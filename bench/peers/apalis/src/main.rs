//! apalis on Redis, driven by the bench.

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use futures::stream::{StreamExt, iter};
use peer_protocol::{Add, Answer, Data, Notes, Request, now_us, serve, steadily};
use tokio::task::JoinHandle;

type Storage = RedisStorage<Data, apalis_redis::ConnectionManager>;

#[tokio::main]
async fn main() {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL says where the server is");
    let notes = Notes::default();
    let mut worker: Option<JoinHandle<()>> = None;
    serve(async |request| match request {
        Request::Add(Add { queue, count, flight, bulk, payload, .. }) => {
            let storage = open(&url, &queue, 100).await?;
            let data = Data::of(payload);
            if bulk > 0 {
                for first in (0..count).step_by(bulk) {
                    let jobs = vec![data.clone(); bulk.min(count - first)];
                    storage.clone().push_bulk(jobs).await.map_err(|error| error.to_string())?;
                }
                return Ok(Answer::default());
            }
            let mut adds = iter(0..count)
                .map(|_| {
                    let (mut storage, data) = (storage.clone(), data.clone());
                    async move { storage.push(data).await.map_err(|error| error.to_string()) }
                })
                .buffer_unordered(flight);
            while let Some(added) = adds.next().await {
                added?;
            }
            Ok(Answer::default())
        }
        Request::AddSteadily { queue, count, rate } => {
            let storage = open(&url, &queue, 100).await?;
            let push = async || storage.clone().push(Data::now()).await.map_err(|error| error.to_string());
            steadily(count, rate, push).await?;
            Ok(Answer::default())
        }
        Request::StartWorker { queue, concurrency, .. } => {
            let storage = open(&url, &queue, concurrency).await?;
            let notes = notes.clone();
            let run = WorkerBuilder::new(format!("bench-{}", now_us()))
                .backend(storage)
                .concurrency(concurrency)
                .build(move |data: Data| {
                    notes.take(&data);
                    async { Ok::<(), std::io::Error>(()) }
                });
            worker = Some(tokio::spawn(async move {
                if let Err(error) = run.run().await {
                    eprintln!("the worker ended: {error}");
                }
            }));
            Ok(Answer::default())
        }
        Request::Listen { .. } => Err("apalis has no events of a queue".to_owned()),
        Request::Notes => Ok(notes.answer()),
        Request::StopWorker => {
            if let Some(worker) = worker.take() {
                worker.abort();
            }
            Ok::<_, String>(notes.answer())
        }
    })
    .await;
}

async fn open(url: &str, queue: &str, batch: usize) -> Result<Storage, String> {
    let connection = apalis_redis::connect(url).await.map_err(|error| error.to_string())?;
    Ok(RedisStorage::new(connection).with_config(Config::default().queue(queue).batch_size(batch)))
}
