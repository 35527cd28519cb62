//! The whole system: jobs from one client, run by workers that die, on a Redis that restarts, and every one of them once
//! in the database.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use operator_core::settings::{Secret, vars};
use operator_core::{JobOptions, Json, NewJob, QueueName};
use operator_dispatcher::{ApiSettings, Dispatcher, Settings, UnknownJobs};
use operator_queue::{Queue, Redis, RedisConfig};
use operator_store::{RecordFilter, Store, StoreConfig};
use operator_telemetry::{Exit, Identity, ListenSettings, Metrics};
use operator_testkit::{BullMq, NodePeer, RedisServer, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::running::{IMPATIENT, QUEUE, Running, Watched};

const JOBS: usize = 5000;

/// A dispatcher in this process, over a SQLite file of its own.
struct Archive {
    store: Store,
    stop: CancellationToken,
    running: JoinHandle<Exit>,
    _folder: tempfile::TempDir,
}

impl Archive {
    async fn start(redis_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = Secret::new(format!("sqlite://{}", folder.path().join("operator.db").display()));
        let settings = Settings {
            listen: ListenSettings { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0, port_var: &vars::PORT },
            redis: RedisConfig::new(redis_url),
            store: StoreConfig::new(url.clone(), 4),
            api: ApiSettings {
                key: None,
                max_data_bytes: 1_048_576,
                max_bulk_jobs: 1000,
                max_wait: Duration::from_secs(20),
                max_event_streams: 10,
                unknown_jobs: UnknownJobs::Warn,
                catalogue_max_age: Duration::from_secs(5),
            },
            archive_interval: Duration::from_millis(200),
        };
        let identity = Identity {
            service: "test".to_owned(),
            version: "0".to_owned(),
            commit: "none".to_owned(),
            env: "test".to_owned(),
        };
        let metrics = Metrics::detached(&identity);
        let dispatcher = Dispatcher::build(&settings, identity, metrics).await.unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(dispatcher.run(stop.clone()));
        let store = Store::open(&StoreConfig::new(url, 1)).await.unwrap();
        Self { store, stop, running, _folder: folder }
    }

    /// Waits until `count` records are stored, and looks whether there are more.
    async fn holds(&self, count: usize) {
        let stored = async || {
            let counts = self.store.counts().await.ok()?;
            usize::try_from(counts.iter().map(|count| count.records).sum::<u64>()).ok()
        };
        eventually(&format!("{count} records"), async || (stored().await? >= count).then_some(())).await;
        let filter = RecordFilter { queue: Some(QUEUE.to_owned()), ..RecordFilter::default() };
        let (mut ids, mut after) = (BTreeSet::new(), None);
        loop {
            let page = self.store.records(&filter, after.as_ref(), 1000).await.unwrap();
            ids.extend(page.records.into_iter().map(|record| record.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((ids.len(), stored().await), (count, Some(count)), "one record per job");
    }

    async fn end(self) {
        self.stop.cancel();
        assert_eq!(self.running.await.unwrap(), Exit::Ok);
    }
}

fn jobs_for_node(name: &str) -> Vec<Value> {
    (0..JOBS).map(|number| json!({ "name": name, "data": { "number": number } })).collect()
}

async fn add_ours(redis: &RedisServer, name: &str, count: usize) {
    let redis = Redis::connect(&RedisConfig::new(redis.url())).await.unwrap();
    let queue = Queue::new(&redis, QueueName::new(QUEUE).unwrap());
    let job = |number: usize| {
        let data = Json::from(json!({ "number": number }));
        NewJob { name: name.to_owned(), data, opts: JobOptions::default() }
    };
    queue.add_bulk((0..count).map(job).collect()).await.unwrap();
}

/// How often each job completed, as the events tell it: read from the stream, which these tests keep long enough.
async fn completions(watched: &Watched) -> BTreeMap<String, usize> {
    let entries = watched.client().call(&["XRANGE", &format!("bull:{QUEUE}:events"), "-", "+"]).await;
    let mut completions = BTreeMap::new();
    for entry in entries.list() {
        let fields = entry.list()[1].map();
        if fields["event"] == "completed" {
            *completions.entry(fields["jobId"].clone()).or_default() += 1;
        }
    }
    completions
}

/// Lets the stream grow. A queue object in Node sets its own bound when it is made, so one is made before.
async fn keep_all_events(node: &NodePeer, watched: &Watched) {
    node.call("getMeta", json!({ "queue": QUEUE })).await;
    watched.client().call(&["HSET", &format!("bull:{QUEUE}:meta"), "opts.maxLenEvents", "1000000"]).await.ok();
}

async fn all_completed_once(watched: &Watched) {
    let count = i64::try_from(JOBS).unwrap();
    watched.wait_for("completed", count).await;
    let left = [watched.count("wait").await, watched.count("active").await, watched.count("failed").await];
    assert_eq!((watched.count("completed").await, left), (count, [0, 0, 0]));
    let completions = completions(watched).await;
    assert_eq!(completions.len(), JOBS);
    assert!(completions.values().all(|times| *times == 1), "no job completes twice");
}

/// Every attempt that was begun and did not end is one that died with its worker.
async fn only_recovered_jobs_were_started_twice(watched: &Watched) {
    for id in completions(watched).await.keys() {
        let number = async |field| watched.field(id, field).await.map_or(0, |text| text.parse::<u32>().unwrap());
        let (made, started, stalled) = (number("atm").await, number("ats").await, number("stc").await);
        assert_eq!((made, started), (1, 1 + stalled), "job {id}");
    }
}

#[tokio::test]
async fn bullmq_adds_and_our_workers_run_although_one_is_killed() {
    let redis = RedisServer::start().await;
    let (node, watched) = (NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await, Watched::of(&redis).await);
    let archive = Archive::start(&redis.url()).await;
    let mut killed = Running::start(&redis.url(), &IMPATIENT).await;
    let _other = Running::start(&redis.url(), &IMPATIENT).await;
    keep_all_events(&node, &watched).await;
    node.call("addBulk", json!({ "queue": QUEUE, "jobs": jobs_for_node("system.echo") })).await;
    watched.wait_for("completed", 2000).await;
    killed.process.kill9().await;
    let _replacement = Running::start(&redis.url(), &IMPATIENT).await;
    all_completed_once(&watched).await;
    only_recovered_jobs_were_started_twice(&watched).await;
    archive.holds(JOBS).await;
    archive.end().await;
}

#[tokio::test]
async fn we_add_and_bullmq_runs_although_one_of_its_workers_is_killed() {
    let redis = RedisServer::start().await;
    let watched = Watched::of(&redis).await;
    let archive = Archive::start(&redis.url()).await;
    let start = json!({
        "queue": QUEUE, "processor": "echo", "concurrency": 10,
        "lockDuration": 1000, "stalledInterval": 1000, "maxStalledCount": 10,
    });
    let mut killed = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    let other = NodePeer::bullmq(BullMq::V5, &redis.url(), "bull").await;
    killed.call("startWorker", start.clone()).await;
    other.call("startWorker", start).await;
    add_ours(&redis, "system.echo", 1).await;
    watched.wait_for("completed", 1).await;
    keep_all_events(&other, &watched).await;
    add_ours(&redis, "system.echo", JOBS - 1).await;
    watched.wait_for("completed", 1000).await;
    killed.kill().await;
    all_completed_once(&watched).await;
    // BullMQ's workers leave no record: the dispatcher finds what they finished.
    archive.holds(JOBS).await;
    archive.end().await;
}

#[tokio::test]
async fn both_kinds_of_workers_run_jobs_of_both_kinds_of_producers() {
    let redis = RedisServer::start().await;
    let (node, watched) = (NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await, Watched::of(&redis).await);
    let archive = Archive::start(&redis.url()).await;
    let _ours = Running::start(&redis.url(), &IMPATIENT).await;
    node.call("startWorker", json!({ "queue": QUEUE, "processor": "echo", "concurrency": 10 })).await;
    keep_all_events(&node, &watched).await;
    let half = &jobs_for_node("system.echo")[..JOBS / 2];
    let theirs = node.call("addBulk", json!({ "queue": QUEUE, "jobs": half }));
    tokio::join!(theirs, add_ours(&redis, "system.echo", JOBS / 2));
    all_completed_once(&watched).await;
    only_recovered_jobs_were_started_twice(&watched).await;
    archive.holds(JOBS).await;
    archive.end().await;
}

#[tokio::test]
async fn a_redis_that_restarts_in_the_middle_loses_nothing() {
    let mut redis = RedisServer::builder().durable().start().await;
    let watched = Watched::of(&redis).await;
    let archive = Archive::start(&redis.url()).await;
    let _worker = Running::start(&redis.url(), &IMPATIENT).await;
    let _other = Running::start(&redis.url(), &IMPATIENT).await;
    let sleeps: Vec<_> = (0..2000).map(|_| json!({ "name": "system.sleep", "data": { "ms": 5 } })).collect();
    let node = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
    node.call("addBulk", json!({ "queue": QUEUE, "jobs": sleeps })).await;
    watched.wait_for("completed", 500).await;
    redis.kill();
    redis.restart().await;
    watched.wait_for("completed", 2000).await;
    assert_eq!([watched.count("wait").await, watched.count("active").await, watched.count("failed").await], [0, 0, 0]);
    archive.holds(2000).await;
    archive.end().await;
}
