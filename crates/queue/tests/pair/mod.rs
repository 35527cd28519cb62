//! The same operation done twice, once by BullMQ in database 0 and once by us in database 1 of one server, beginning
//! with the same keys; and what differs afterwards.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

pub(crate) mod queues;

use std::collections::{BTreeMap, BTreeSet};

use operator_core::QueueName;
use operator_queue::{Clock, Queue, QueueError, Redis, RedisConfig, Refusal};
use operator_testkit::redis::{Content, Entry, RedisClient, RedisServer};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use serde_json::{Value, json};

pub(crate) struct Pair {
    /// Dropping it ends the server.
    server: RedisServer,
    pub(crate) node: NodePeer,
    /// Looks at BullMQ's database.
    pub(crate) theirs: RedisClient,
    /// Looks at ours.
    pub(crate) ours: RedisClient,
    pub(crate) clock: Clock,
    redis: Redis,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let server = RedisServer::start().await;
        let node = NodePeer::bullmq(BullMq::V6, &server.url(), "bull").await;
        let (theirs, ours) = (server.client().await, server.client().await);
        ours.call(&["SELECT", "1"]).await.ok();
        let clock = Clock::manual(operator_queue::now_ms());
        let config = RedisConfig { clock: clock.clone(), ..RedisConfig::new(format!("{}/1", server.url())) };
        let redis = Redis::connect(&config).await.unwrap();
        Self { server, node, theirs, ours, clock, redis }
    }

    /// Where BullMQ's database is.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Our handle on a queue.
    pub(crate) fn queue(&self, name: &str) -> Queue {
        Queue::new(&self.redis, QueueName::new(name).unwrap())
    }

    /// Adds a job to `q` in BullMQ's database.
    pub(crate) async fn add(&self, id: &str, opts: Value) {
        self.add_data(id, json!({}), opts).await;
    }

    pub(crate) async fn add_data(&self, id: &str, data: Value, mut opts: Value) {
        opts["jobId"] = id.into();
        self.node.call("add", json!({ "queue": "q", "name": "n", "data": data, "opts": opts })).await;
    }

    /// Adds a flow in BullMQ's database.
    pub(crate) async fn flow(&self, flow: Value) {
        self.node.call("addFlow", json!({ "flow": flow })).await;
    }

    /// Has BullMQ run what waits in `q`, each job as its data says.
    pub(crate) async fn run(&self) {
        self.node.call("startWorker", json!({ "queue": "q", "processor": "echo", "drainDelay": 1 })).await;
        eventually("the queue to be empty", async || {
            let lengths = ["LLEN bull:q:wait", "LLEN bull:q:active", "ZCARD bull:q:prioritized"];
            for length in lengths {
                let words: Vec<_> = length.split(' ').collect();
                if self.theirs.call(&words).await.int() > 0 {
                    return None;
                }
            }
            Some(())
        })
        .await;
        self.node.call("stopWorker", json!({ "worker": "q" })).await;
    }

    /// Empties both databases.
    pub(crate) async fn clear(&self) {
        self.theirs.call(&["FLUSHDB"]).await.ok();
        self.ours.call(&["FLUSHDB"]).await.ok();
    }

    /// Gives our database what BullMQ's has, and our clock the time.
    pub(crate) async fn mirror(&self) {
        // BullMQ writes the settings of a queue when it is first used.
        for queue in ["q", "p"] {
            self.node.queue(queue, "waitUntilReady", json!([])).await;
        }
        self.ours.call(&["FLUSHDB"]).await.ok();
        self.clock.set(operator_queue::now_ms());
        for key in self.theirs.keys("").await {
            self.theirs.call(&["COPY", &key, &key, "DB", "1"]).await.ok();
            if self.theirs.call(&["TYPE", &key]).await.text() == "set" {
                self.mirror_set(&key).await;
            }
        }
    }

    /// Scripts go through the members in an order that depends on how the set came about: both are made anew, alike.
    async fn mirror_set(&self, key: &str) {
        let members = self.theirs.call(&["SMEMBERS", key]).await.texts();
        let command: Vec<_> = ["SADD".to_owned(), key.to_owned()].into_iter().chain(members).collect();
        for client in [&self.theirs, &self.ours] {
            client.call(&["DEL", key]).await.ok();
            client.call(&command).await.ok();
        }
    }

    /// Calls a method of BullMQ's queue `q`.
    pub(crate) async fn their_queue(&self, method: &str, args: Value) -> Value {
        self.node.queue("q", method, args).await
    }

    /// Calls a method of a job in BullMQ's `q`.
    pub(crate) async fn their_job(&self, id: &str, method: &str, args: Value) -> Value {
        self.node.job("q", id, method, args).await
    }

    /// The code of the error that a method of a job in BullMQ's `q` ends with.
    pub(crate) async fn their_refusal(&self, id: &str, method: &str, args: Value) -> Refusal {
        let call = json!({ "target": "job", "queue": "q", "jobId": id, "method": method, "args": args });
        let error = self.node.try_call("call", call).await.unwrap_err();
        Refusal::from_code(error.code.clone().unwrap_or_else(|| panic!("{error:?} has no code")).parse().unwrap())
    }

    /// Fails unless both databases hold the same, ids of events apart, after `declare` has made the declared
    /// differences to BullMQ's.
    pub(crate) async fn assert_same_but(&self, what: &str, declare: impl FnOnce(&mut Keyspace)) {
        let mut theirs = keyspace(self.theirs.dump("").await);
        declare(&mut theirs);
        // The registry of queues is ours alone.
        let ours = keyspace(self.ours.dump("bull:").await);
        let keys: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
        let differences: Vec<_> = keys
            .into_iter()
            .filter(|key| theirs.get(*key) != ours.get(*key))
            .map(|key| format!("{key}\n  BullMQ: {:?}\n  ours:   {:?}", theirs.get(key), ours.get(key)))
            .collect();
        assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
    }

    pub(crate) async fn assert_same(&self, what: &str) {
        self.assert_same_but(what, |_| ()).await;
    }
}

/// What a database holds, by key.
pub(crate) type Keyspace = BTreeMap<String, Entry>;

fn keyspace(mut entries: Keyspace) -> Keyspace {
    for entry in entries.values_mut() {
        if let Content::Stream(events) = &mut entry.content {
            for (id, _) in events.iter_mut() {
                id.clear();
            }
        }
    }
    entries
}

/// The refusal in an error.
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, QueueError>) -> Refusal {
    match outcome {
        Err(QueueError::Refused { refusal, .. }) => refusal,
        other => panic!("expected a refusal, not {other:?}"),
    }
}

/// Nobody asks how far it is.
pub(crate) fn quietly(_: operator_queue::Progress) {}
