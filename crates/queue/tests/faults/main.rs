//! Faults that come at the worst moment: each broke a promise once.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

#[path = "../rig/mod.rs"]
mod rig;

mod batches;
mod ends;
mod late;
mod leases;
mod pairs;
mod quiet;

use std::sync::Arc;
use std::time::Duration;

use operator_queue::worker::{Worker, WorkerOptions};
use operator_queue::{Queue, Redis, RedisConfig};
use operator_testkit::fault::Proxy;
use rig::{Rig, options, worker_of};
use tokio::sync::Semaphore;

/// A lock that no test outlives, so that only the way under test can bring a job back.
const LONG: Duration = Duration::from_secs(600);

fn patient(rig: &Rig, concurrency: usize) -> WorkerOptions {
    WorkerOptions { lock_duration: LONG, stalled_interval: LONG, ..options(&rig.queue, concurrency) }
}

/// A proxy in front of the rig's server, and the way to it.
async fn proxied(rig: &Rig) -> (Proxy, RedisConfig) {
    let proxy = Proxy::to(rig.server.port()).await;
    let config = RedisConfig::new(rig.server.url_on(proxy.port()));
    (proxy, config)
}

/// The rig's queue through a proxy.
async fn proxied_queue(rig: &Rig) -> (Proxy, Queue) {
    let (proxy, config) = proxied(rig).await;
    let redis = Redis::connect(&config).await.unwrap();
    (proxy, Queue::new(&redis, rig.queue.name().clone()))
}

/// A worker whose jobs wait until the semaphore has a permit for them.
async fn gated(config: &RedisConfig, options: WorkerOptions) -> (Worker, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let passed = Arc::clone(&gate);
    let worker = worker_of(config, options, move |claimed| {
        let gate = Arc::clone(&passed);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(claimed.job.data.clone())
        }
    });
    (worker.await, gate)
}

/// How often the event was written.
async fn count_events(rig: &Rig, event: &str) -> usize {
    rig.events().await.iter().filter(|told| told.split(' ').next() == Some(event)).count()
}
