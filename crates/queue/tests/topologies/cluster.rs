//! A cluster of three servers: queues live where their hash tags put them, and go on when servers come and go.

use std::sync::Arc;
use std::time::Duration;

use operator_core::{JobState, QueueName};
use operator_queue::worker::Worker;
use operator_queue::{Queue, QueueError, Redis, RedisConfig, RedisError, keys, registry};
use operator_testkit::redis::{RedisCluster, RedisServer};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use serde_json::json;

use super::life::{finished, live, options};
use crate::rig::{Script, job};

/// A queue name for each of the three masters, in their order.
pub(super) async fn names(cluster: &RedisCluster) -> Vec<String> {
    let mut names = vec![String::new(); 3];
    for letter in 'a'..='z' {
        let name = format!("{{{letter}}}");
        let master = cluster.master_of(&name).await;
        names[master] = name;
    }
    assert!(names.iter().all(|name| !name.is_empty()), "26 letters reach all masters");
    names
}

pub(super) fn queues(redis: &Redis, names: &[String]) -> Vec<Queue> {
    names.iter().map(|name| Queue::new(redis, QueueName::new(name.as_str()).unwrap())).collect()
}

async fn worker(config: &RedisConfig, queues: &[Queue]) -> Worker {
    Worker::start(config, options(queues), Arc::new(Script)).await.unwrap()
}

async fn add(queue: &Queue, round: u32, count: u32) {
    let jobs = (0..count).map(|number| job("echo", &format!("r{round}n{number}"))).collect();
    queue.add_bulk(jobs).await.unwrap();
}

#[tokio::test]
async fn a_job_lives_on_every_server_of_a_cluster() {
    let cluster = RedisCluster::start().await;
    let names = names(&cluster).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    live(&RedisConfig::new(cluster.url()), &names).await;
    live(&RedisConfig::new(cluster.url()).with_prefix("{bull}"), &["q", "r"]).await;
}

#[tokio::test]
async fn a_queue_without_a_hash_tag_is_refused_before_anything_is_written() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    assert!(redis.is_cluster());
    let queue = Queue::new(&redis, QueueName::new("mail").unwrap());
    let tagged = Queue::new(&redis, QueueName::new("{mail}").unwrap());
    let refusals = [
        queue.add(job("echo", "a")).await.map(drop),
        queue.register().await,
        queue.pause().await,
        Worker::start(&config, options(&[tagged, queue]), Arc::new(Script)).await.map(drop),
    ];
    for refusal in refusals {
        let Err(QueueError::Redis(error)) = refusal else { panic!("{refusal:?} should be a refusal") };
        assert_eq!(error, RedisError::NoHashTag { prefix: "bull".to_owned(), queue: "mail".to_owned() });
        let text = error.to_string();
        assert!(text.contains("OPERATOR_PREFIX to `{bull}`") && text.contains("the queue `{mail}`"), "{text}");
    }
    for position in 0..3 {
        assert_eq!(cluster.client(position).await.call(&["DBSIZE"]).await.int(), 0);
    }
}

#[tokio::test]
async fn a_worker_waits_on_as_many_hash_tags_as_it_may() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    let names: Vec<String> = (0..65).map(|number| format!("{{{number}}}")).collect();
    let error = Worker::start(&config, options(&queues(&redis, &names)), Arc::new(Script)).await.map(drop);
    assert!(matches!(&error, Err(QueueError::InvalidArgument { field: "queues", .. })), "{error:?}");
}

#[tokio::test]
async fn slots_are_where_the_servers_say() {
    let cluster = RedisCluster::start().await;
    let client = cluster.client(0).await;
    for key in ["bull:{mail}:wait", "{bull}:mail:wait", "bull:mail:wait", "bull:{}:{x}", "", "{é}a"] {
        assert_eq!(i64::from(keys::slot(key)), client.call(&["CLUSTER", "KEYSLOT", key]).await.int(), "{key}");
    }
}

#[tokio::test]
async fn a_script_that_a_server_forgot_is_sent_again() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    let queues = queues(&redis, &names(&cluster).await);
    for round in 0..2 {
        for position in 0..3 {
            cluster.client(position).await.call(&["SCRIPT", "FLUSH"]).await.ok();
        }
        for queue in &queues {
            add(queue, round, 3).await;
        }
    }
    for queue in &queues {
        assert_eq!(queue.counts().await.unwrap().of(JobState::Waiting), 6);
    }
}

#[tokio::test]
async fn a_queue_is_found_again_after_its_slot_moved() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    let names = names(&cluster).await;
    let queues = queues(&redis, &names);
    let worker = worker(&config, &queues).await;
    for (round, to) in [(0, 1), (1, 2), (2, 0)] {
        for queue in &queues {
            add(queue, round, 20).await;
        }
        for queue in &queues {
            finished(queue, u64::from(round + 1) * 20, 0).await;
        }
        // The queue is idle: a slot whose queue is at work cannot be moved, for scripts and commands alike.
        cluster.move_slot(&names[0], (to + 2) % 3, to).await;
    }
    add(&queues[0], 3, 20).await;
    finished(&queues[0], 80, 0).await;
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_dead_server_stops_its_own_queues_and_no_others() {
    let settings = RedisServer::builder().durable().set("cluster-require-full-coverage", "no");
    let mut cluster = RedisCluster::with(3, 0, settings).await;
    let config = RedisConfig { command_timeout: Duration::from_secs(3), ..RedisConfig::new(cluster.url()) };
    let redis = Redis::connect(&config).await.unwrap();
    let queues = queues(&redis, &names(&cluster).await);
    let worker = worker(&config, &queues).await;
    for queue in &queues {
        add(queue, 0, 200).await;
    }
    cluster.kill(0);
    for queue in &queues[1..] {
        add(queue, 1, 200).await;
        finished(queue, 400, 0).await;
    }
    let error = queues[0].add(job("echo", "away")).await.unwrap_err();
    assert!(matches!(error, QueueError::Redis(RedisError::Lost { .. })), "{error}");
    cluster.restart(0).await;
    finished(&queues[0], 200, 0).await;
    add(&queues[0], 1, 200).await;
    finished(&queues[0], 400, 0).await;
    worker.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_queue_is_first_used_while_the_server_that_lists_the_queues_is_away() {
    let settings = RedisServer::builder().durable().set("cluster-require-full-coverage", "no");
    let mut cluster = RedisCluster::with(3, 0, settings).await;
    let config = RedisConfig { command_timeout: Duration::from_secs(3), ..RedisConfig::new(cluster.url()) };
    let redis = Redis::connect(&config).await.unwrap();
    let away = cluster.master_of(&keys::registry(redis.prefix())).await;
    let queue = &queues(&redis, &names(&cluster).await)[(away + 1) % 3];
    cluster.kill(away);
    add(queue, 0, 20).await;
    assert_eq!(queue.counts().await.unwrap().of(JobState::Waiting), 20);
    cluster.restart(away).await;
    let found =
        eventually("a search of all servers", async || registry::discover_queues(&redis, || true).await.ok()).await;
    assert!(found.contains(queue.name()), "{found:?}");
}

#[tokio::test]
async fn a_cluster_that_is_down_is_waited_for() {
    let mut cluster = RedisCluster::start().await;
    let redis = Redis::connect(&RedisConfig::new(cluster.url())).await.unwrap();
    let queues = queues(&redis, &names(&cluster).await);
    add(&queues[1], 0, 20).await;
    cluster.kill(0);
    let lives = cluster.client(1).await;
    eventually("the cluster to be down", async || {
        let info = lives.call(&["CLUSTER", "INFO"]).await.text();
        info.contains("cluster_state:fail").then_some(())
    })
    .await;
    tokio::join!(add(&queues[1], 1, 20), cluster.restart(0));
    assert_eq!(queues[1].counts().await.unwrap().of(JobState::Waiting), 40);
}

#[tokio::test]
async fn a_replica_takes_over_in_the_middle_of_work() {
    let mut cluster = RedisCluster::with_replicas().await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    let names = names(&cluster).await;
    let queues = queues(&redis, &names);
    for queue in &queues {
        add(queue, 0, 300).await;
    }
    let master = cluster.client(0).await;
    master.call(&["SET", &names[0], "", "PX", "1"]).await.ok();
    assert_eq!(master.call(&["WAIT", "1", "0"]).await.int(), 1, "all jobs are on the replica");
    let worker = worker(&config, &queues).await;
    eventually("the work to begin", async || {
        let counts = queues[0].counts().await.ok()?;
        (counts.of(JobState::Completed) > 20).then_some(())
    })
    .await;
    cluster.kill(0);
    for queue in &queues {
        finished(queue, 300, 0).await;
    }
    add(&queues[0], 1, 20).await;
    finished(&queues[0], 320, 0).await;
    worker.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn bullmq_and_we_share_the_queues_of_a_cluster() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig::new(cluster.url());
    let redis = Redis::connect(&config).await.unwrap();
    let names = names(&cluster).await;
    let queues = queues(&redis, &names);
    let node = NodePeer::bullmq(BullMq::V6, &cluster.url(), "bull").await;
    let worker = worker(&config, &queues).await;
    for (queue, name) in queues.iter().zip(&names) {
        node.call("add", json!({ "queue": name, "name": "echo", "data": 1 })).await;
        finished(queue, 1, 0).await;
        let workers = node.call("getWorkers", json!({ "queue": name })).await;
        let ours = workers[0]["rawname"].as_str().is_some_and(|name| name.ends_with(":w:w"));
        assert!(ours && workers.as_array().is_some_and(|workers| workers.len() == 1), "{workers}");
        assert_eq!(node.call("getJobCounts", json!({ "queue": name })).await["completed"], 1);
    }
    worker.stop(Duration::from_secs(5)).await;
    for (queue, name) in queues.iter().zip(&names) {
        node.call("startWorker", json!({ "queue": name, "processor": "echo", "name": "n" })).await;
        add(queue, 0, 5).await;
        finished(queue, 6, 0).await;
        let workers = queue.workers().await.unwrap();
        assert!(workers.iter().any(|worker| worker.name.as_deref() == Some("n")), "{workers:?}");
    }
    assert_eq!(node.close().await, Some(0));
}
