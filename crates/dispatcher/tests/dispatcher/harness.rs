//! A dispatcher in this process with a Redis and a SQLite file of its own.

use std::collections::HashMap;
use std::net::SocketAddr;

use operator_core::settings::{Reader, Secret};
use operator_core::{JobRecord, QueueName};
use operator_dispatcher::{Dispatcher, Settings};
use operator_queue::{Queue, Redis, RedisConfig};
use operator_store::{RecordFilter, Store, StoreConfig};
use operator_telemetry::{Exit, Identity, Metrics};
use operator_testkit::{RedisServer, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::{Answer, Request};

/// A running dispatcher. Dropping it ends it without a farewell.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Exit>,
}

/// A dispatcher with everything it needs.
pub(crate) struct World {
    pub(crate) redis: RedisServer,
    pub(crate) database: String,
    pub(crate) dispatcher: Running,
    _folder: TempDir,
}

impl Running {
    /// Starts a dispatcher that looks for new queues and unrecorded jobs ten times a second.
    pub(crate) async fn start(redis: &str, database: &str, more: &[(&str, &str)]) -> Self {
        let mut source = HashMap::from([
            ("PORT", "0"),
            ("OPERATOR_BIND", "127.0.0.1"),
            ("REDIS_URL", redis),
            ("DATABASE_URL", database),
            ("OPERATOR_ARCHIVE_INTERVAL_MS", "100"),
        ]);
        source.extend(more.iter().copied());
        let mut reader = Reader::new(&source);
        let settings = Settings::read(&mut reader);
        reader.finish().unwrap();
        let identity = identity();
        let metrics = Metrics::detached(&identity);
        let dispatcher = Dispatcher::build(&settings, identity, metrics).await.unwrap();
        let (address, stop) = (dispatcher.address().unwrap(), CancellationToken::new());
        let task = tokio::spawn(dispatcher.run(stop.clone()));
        Self { address, stop, task }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.address, method, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// The body of a GET that must succeed.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(body).send().await
    }

    /// Adds jobs that must be accepted, and returns their ids.
    pub(crate) async fn add(&self, queue: &str, jobs: Value) -> Vec<String> {
        let answer = self.post(&format!("/queues/{queue}/jobs"), jobs).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        serde_json::from_value(answer.json()["ids"].take()).unwrap()
    }

    /// Adds one job that must be accepted, and returns its id.
    pub(crate) async fn add_one(&self, queue: &str, name: &str, opts: Value) -> String {
        self.add(queue, json!({"name": name, "data": {"n": 1}, "opts": opts})).await.remove(0)
    }

    /// Waits until `path` answers with something that `pick` accepts.
    pub(crate) async fn until<T>(&self, path: &str, pick: impl Fn(&Answer) -> Option<T>) -> T {
        eventually(path, async || pick(&self.get(path).await)).await
    }

    /// Waits until the job called `id` has this value in `field`, and returns it.
    pub(crate) async fn until_job(&self, id: &str, field: &str, value: &str) -> Value {
        self.until(&format!("/jobs/{id}"), |answer| {
            (answer.status == 200 && answer.json()[field] == value).then(|| answer.json())
        })
        .await
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> Exit {
        self.stop.cancel();
        (&mut self.task).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(more: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", folder.path().join("history.db").display());
        let dispatcher = Running::start(&redis.url(), &database, more).await;
        Self { redis, database, dispatcher, _folder: folder }
    }

    /// A second dispatcher of the same queues and history.
    pub(crate) async fn another(&self) -> Running {
        Running::start(&self.redis.url(), &self.database, &[]).await
    }

    pub(crate) async fn queue(&self, name: &str) -> Queue {
        queue(&self.redis.url(), name).await
    }

    pub(crate) async fn store(&self) -> Store {
        store(&self.database).await
    }

    /// Waits until the history has `count` records, and returns them.
    pub(crate) async fn until_recorded(&self, count: usize) -> Vec<JobRecord> {
        until_recorded(&self.store().await, count).await
    }
}

pub(crate) fn identity() -> Identity {
    let [service, version, commit, env] = ["tested", "1.2.3", "abc", "test"].map(str::to_owned);
    Identity { service, version, commit, env }
}

pub(crate) async fn queue(url: &str, name: &str) -> Queue {
    let redis = Redis::connect(&RedisConfig::new(url)).await.unwrap();
    Queue::new(&redis, QueueName::new(name).unwrap())
}

pub(crate) async fn store(url: &str) -> Store {
    Store::open(&StoreConfig::new(Secret::new(url), 4)).await.unwrap()
}

/// Every record of the history.
pub(crate) async fn records(store: &Store) -> Vec<JobRecord> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = store.records(&RecordFilter::default(), after.as_ref(), 1000).await.unwrap();
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

pub(crate) async fn until_recorded(store: &Store, count: usize) -> Vec<JobRecord> {
    let what = format!("{count} records in the history");
    eventually(&what, async || Some(records(store).await).filter(|records| records.len() >= count)).await
}
