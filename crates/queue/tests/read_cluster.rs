//! Reading, listening and waiting where the queues of one process lie on different servers.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use operator_core::JobState;
use operator_queue::events::{Delivery, EventsOptions, Finished, StartAt};
use operator_queue::worker::{Worker, WorkerOptions};
use operator_queue::{MetricKind, Queue, Range, Redis, RedisConfig, workers_of};
use operator_testkit::redis::RedisCluster;
use operator_testkit::wait::{LIMIT, eventually};
use rig::{Script, job};

#[tokio::test]
async fn queues_on_several_servers_are_read_heard_and_waited_for() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    let queues = ["{a}", "{b}", "{c}"].map(|name| Queue::new(&redis, name.to_owned().try_into().unwrap()));
    let names = queues.iter().map(|queue| queue.name().clone());
    let options = WorkerOptions { metrics_max_data_points: Some(5), ..WorkerOptions::new(names).with_concurrency(3) };
    let worker = Worker::start(&config, options, Arc::new(Script)).await.unwrap();
    let all = Range { first: 0, last: 9, ascending: true };
    for queue in &queues {
        let start = StartAt::Beginning;
        let mut events = queue.events(EventsOptions { start, ..EventsOptions::default() }).await.unwrap();
        queue.add(job("echo", "x")).await.unwrap();
        let end = queue.wait_until_finished("x", LIMIT).await.unwrap();
        assert!(matches!(end, Finished::Completed(_)), "{end:?}");
        let first = tokio::time::timeout(LIMIT, events.next()).await.unwrap();
        assert!(matches!(first, Some(Delivery::Event(_))), "{first:?}");
        assert_eq!(queue.ids(JobState::Completed, all).await.unwrap(), ["x"]);
        assert!(queue.ids(JobState::Waiting, all).await.unwrap().is_empty());
        assert_eq!(queue.counts().await.unwrap().of(JobState::Completed), 1);
        assert_eq!(queue.metrics(MetricKind::Completed, 0, -1).await.unwrap().total, 1);
        assert!(queue.flow_tree("x", 3, 9).await.unwrap().is_some());
    }
    eventually("the worker to be listed on each", async || {
        let workers = workers_of(&redis, &queues).await.ok()?;
        workers.values().all(|workers| workers.len() == 1).then_some(())
    })
    .await;
    worker.stop(Duration::ZERO).await;
}
