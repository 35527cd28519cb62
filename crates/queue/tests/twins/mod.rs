//! The same steps done by BullMQ under the prefix `node` and by us under `ours`, at the same time of a clock that stands;
//! after each step all that is in Redis is compared.
#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use std::collections::BTreeMap;

use operator_core::QueueName;
use operator_queue::worker::{Consumer, WorkerOptions};
use operator_queue::{Clock, Queue, QueueError, Redis, RedisConfig, Refusal};
use operator_testkit::NodePeer;
use operator_testkit::redis::{Content, RedisClient, RedisServer};
use serde_json::{Value, json};

/// 2023-11-14T22:13:20Z.
pub(crate) const NOW: u64 = 1_700_000_000_000;

pub(crate) struct Twins {
    pub(crate) raw: RedisClient,
    pub(crate) ours: Queue,
    consumer: Consumer,
    clock: Clock,
    node: NodePeer,
    claims: u32,
    _server: RedisServer,
}

impl Twins {
    pub(crate) async fn start() -> Self {
        let server = RedisServer::start().await;
        let environment = [("BULLMQ", "6"), ("REDIS_URL", &server.url()), ("PREFIX", "node")];
        let node = NodePeer::start("conformance.mjs", &[], &environment).await;
        let clock = Clock::manual(NOW);
        let mut config = RedisConfig::new(server.url());
        config.prefix = "ours".to_owned();
        config.clock = clock.clone();
        let redis = Redis::connect(&config).await.unwrap();
        let ours = Queue::new(&redis, QueueName::new("q").unwrap());
        let consumer = Consumer::new(ours.clone(), &WorkerOptions::new([ours.name().clone()]));
        let twins = Self { raw: server.client().await, ours, consumer, clock, node, claims: 0, _server: server };
        twins.node.call("reset", json!({ "now": NOW })).await;
        twins.perform(json!({ "op": "worker", "worker": "w", "queue": "q" })).await;
        twins
    }

    pub(crate) async fn at(&self, now: u64) {
        self.clock.set(now);
        self.node.call("setTime", json!({ "now": now })).await;
    }

    /// Does an operation of `docs/conformance.md` with BullMQ.
    pub(crate) async fn perform(&self, operation: Value) -> Value {
        self.node.call("perform", json!({ "operation": operation })).await
    }

    /// Upserts with both. Returns the id of the pending job, null for none, or the code of the refusal.
    pub(crate) async fn upsert(&self, id: &str, repeat: Value, template: Value) -> Value {
        let step = format!("upsert {id} {repeat} {template}");
        let operation =
            json!({ "op": "upsertScheduler", "queue": "q", "scheduler": id, "repeat": repeat, "template": template });
        let theirs = self.perform(operation).await;
        let repeat = serde_json::from_value(repeat).unwrap();
        let template = serde_json::from_value(template).unwrap();
        let ours = match self.ours.upsert_scheduler(id, &repeat, &template).await {
            Ok(pending) => json!({ "done": pending.map(|pending| pending.id) }),
            Err(QueueError::Refused { refusal: Refusal::SchedulerJobExists, .. }) => json!({ "refused": -10 }),
            Err(QueueError::Refused { refusal: Refusal::SchedulerSlotsTaken, .. }) => json!({ "refused": -11 }),
            Err(error) => panic!("{step}: {error}"),
        };
        assert_eq!(theirs, ours, "{step}");
        self.same(&step).await;
        ours["done"].clone()
    }

    /// Claims a job with both, which makes the next one of its scheduler.
    pub(crate) async fn claim(&mut self) {
        self.claims += 1;
        let token = format!("t{}", self.claims);
        let operation = json!({ "op": "claim", "worker": "w", "token": token, "as": token });
        let theirs = self.perform(operation).await;
        let ours = self.consumer.claim_as(&token).await.unwrap();
        let ours = ours.job.map(|held| held.job().id.to_string());
        assert_eq!(theirs["done"]["id"].as_str(), ours.as_deref(), "claim {theirs}");
        self.same(&format!("claim {token}")).await;
    }

    /// Compares all that both have left.
    pub(crate) async fn same(&self, step: &str) {
        let (theirs, ours) = (self.keyspace("node:q:").await, self.keyspace("ours:q:").await);
        for key in theirs.keys().chain(ours.keys()) {
            assert_eq!(theirs.get(key), ours.get(key), "{key} after: {step}");
        }
    }

    async fn keyspace(&self, prefix: &str) -> BTreeMap<String, Value> {
        let dump = self.raw.dump(prefix).await;
        let strip = |key: &str| key.trim_start_matches(prefix).to_owned();
        let keys = dump.into_iter().map(|(key, entry)| (strip(&key), plain(&entry.content)));
        keys.filter(|(_, value)| value != &json!({})).collect()
    }
}

/// Content to compare: JSON in hashes as what it means, stream entries without their ids, `meta` without the version
/// that only we write here.
fn plain(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!(text),
        Content::List(items) => json!(items),
        Content::Set(items) => json!(items),
        Content::Sorted(pairs) => json!(pairs),
        Content::Stream(entries) => entries.iter().map(|(_, fields)| json!(fields)).collect(),
        Content::Hash(fields) => {
            let fields = fields.iter().filter(|(field, _)| *field != "version");
            fields.map(|(field, value)| (field.clone(), meant(field, value))).collect()
        }
    }
}

fn meant(field: &str, value: &str) -> Value {
    match (field, serde_json::from_str::<Value>(value)) {
        ("opts", Ok(value)) => value,
        _ => json!(value),
    }
}
