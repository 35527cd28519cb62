//! The slots of a worker whose queues lie on several servers: what one server does not answer keeps no slot from the
//! queues of the others.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use operator_core::{Failure, JobState, Json};
use operator_queue::worker::{ClaimedJob, Handler, Worker, WorkerOptions};
use operator_queue::{Queue, QueueError, Redis, RedisConfig, RedisError};
use operator_testkit::fault::Proxy;
use operator_testkit::redis::{RedisCluster, RedisServer};
use operator_testkit::wait::eventually;
use tokio::sync::Semaphore;

use super::cluster::{names, queues};
use super::life::{finished, options};
use crate::rig::{Script, job};

/// Jobs wait in front of it until the test lets some through.
struct Gate(Arc<Semaphore>);

impl Handler for Gate {
    fn run(&self, claimed: ClaimedJob) -> BoxFuture<'static, Result<Json, Failure>> {
        let gate = Arc::clone(&self.0);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(claimed.job.data.clone())
        })
    }
}

/// Three masters that go on when one is gone.
async fn cluster() -> RedisCluster {
    RedisCluster::with(3, 0, RedisServer::builder().durable().set("cluster-require-full-coverage", "no")).await
}

/// Has the cluster's first server name the port of a proxy in front of it as its own.
async fn behind_a_proxy(cluster: &RedisCluster) -> Proxy {
    let proxy = Proxy::to(cluster.node(0).port()).await;
    let port = proxy.port().to_string();
    cluster.client(0).await.call(&["CONFIG", "SET", "cluster-announce-port", &port]).await.ok();
    for position in 0..cluster.len() {
        let client = cluster.client(position).await;
        eventually("every server to name the proxy", async || {
            let slots = client.call(&["CLUSTER", "NODES"]).await.text();
            slots.contains(&format!("127.0.0.1:{port}@")).then_some(())
        })
        .await;
    }
    proxy
}

async fn add(queue: &Queue, prefix: &str, count: u32) {
    queue.add_bulk((0..count).map(|number| job("echo", &format!("{prefix}{number}"))).collect()).await.unwrap();
}

async fn until(queue: &Queue, state: JobState, count: u64) {
    eventually(&format!("{count} jobs {state}"), async || {
        let counts = queue.counts().await.ok()?;
        (counts.of(state) == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_a_dead_server_does_not_answer_keeps_no_slot() {
    let mut cluster = cluster().await;
    let config = RedisConfig { command_timeout: Duration::from_secs(3), ..RedisConfig::new(cluster.url()) };
    let redis = Redis::connect(&config).await.unwrap();
    let queues = queues(&redis, &names(&cluster).await);
    let worker = Worker::start(&config, options(&queues), Arc::new(Script)).await.unwrap();
    for queue in &queues {
        add(queue, "a", 20).await;
        finished(queue, 20, 0).await;
    }
    cluster.kill(0);
    // By the time this is given up, the worker's idle slots have all been offered to the dead server.
    let error = queues[0].add(job("echo", "away")).await.unwrap_err();
    assert!(matches!(error, QueueError::Redis(RedisError::Lost { .. })), "{error}");
    for queue in &queues[1..] {
        add(queue, "b", 20).await;
        finished(queue, 40, 0).await;
    }
    cluster.restart(0).await;
    finished(&queues[0], 20, 0).await;
    add(&queues[0], "b", 20).await;
    finished(&queues[0], 40, 0).await;
    worker.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn jobs_of_a_claim_whose_answer_came_too_late_go_back_in_line() {
    let cluster = cluster().await;
    let proxy = behind_a_proxy(&cluster).await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    let queues = queues(&redis, &names(&cluster).await);
    let gate = Arc::new(Semaphore::new(0));
    // Locks outlast the test: nothing is recovered by running out.
    let patient = Duration::from_secs(600);
    let options = WorkerOptions {
        lock_duration: patient,
        stalled_interval: patient,
        ..WorkerOptions::new(queues.iter().map(|queue| queue.name().clone())).with_concurrency(2)
    };
    let worker = Worker::start(&config, options, Arc::new(Gate(Arc::clone(&gate)))).await.unwrap();
    gate.add_permits(2);
    for queue in &queues[..2] {
        // The claims of the start are answered by then; the next ones come with the end of the pause.
        add(queue, "a", 1).await;
        finished(queue, 1, 0).await;
    }
    worker.pause();
    add(&queues[0], "b", 2).await;
    proxy.swallow_replies();
    worker.resume();
    let (first, active) = (cluster.client(0).await, format!("bull:{}:active", queues[0].name()));
    eventually("both slots to be filled unseen", async || {
        (first.call(&["LLEN", &active]).await.int() == 2).then_some(())
    })
    .await;
    proxy.refuse().await;
    add(&queues[1], "b", 2).await;
    until(&queues[1], JobState::Active, 2).await;
    proxy.heal();
    until(&queues[0], JobState::Waiting, 2).await;
    assert_eq!(worker.status().busy(), 2);
    gate.add_permits(4);
    finished(&queues[1], 3, 0).await;
    finished(&queues[0], 3, 0).await;
    for id in ["b0", "b1"] {
        let job = queues[0].job(id).await.unwrap().unwrap();
        assert_eq!((job.attempts_made, job.stalled), (1, 0), "{id}");
    }
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::from_secs(5)).await;
}
