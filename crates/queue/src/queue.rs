//! A handle on one queue: what producers and administrators do with it lives in the modules beside this one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use operator_core::QueueName;
use operator_core::ids::is_taken;

use crate::error::{QueueError, Refusal};
use crate::keys::{Keys, registry, slot};
use crate::redis::{Arg, Redis, RedisError, Reply, ScriptKeys};
use crate::scripts::Script;

/// The `version` that a queue's `meta` carries, so that BullMQ's tools know how to read it.
const WIRE_VERSION: &str = "bullmq:6.7.0";

/// How many entries the events stream of a queue keeps, roughly, unless its `meta` says otherwise (BullMQ's default).
pub(crate) const MAX_EVENTS: u64 = 10_000;

/// How long the server of the registry may take when it is not the queue's own.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(1);

/// The largest job data by default, in bytes.
const MAX_DATA_BYTES: u64 = 1024 * 1024;

/// A queue. Cheap to clone; all handles share one connection.
#[derive(Clone)]
pub struct Queue {
    pub(crate) redis: Redis,
    pub(crate) name: QueueName,
    pub(crate) keys: Arc<Keys>,
    pub(crate) max_data_bytes: u64,
    /// The keys that scripts without a job's own are called with, made by the first call of each; all handles share them.
    script_keys: Arc<Mutex<HashMap<&'static str, ScriptKeys>>>,
}

impl Queue {
    /// The queue called `name` at `redis`. Nothing is written: see [`Queue::register`].
    #[must_use]
    pub fn new(redis: &Redis, name: QueueName) -> Self {
        let keys = Arc::new(Keys::new(redis.prefix(), &name));
        Self { redis: redis.clone(), name, keys, max_data_bytes: MAX_DATA_BYTES, script_keys: Arc::default() }
    }

    /// The same queue with another limit on the data of a job, in bytes.
    #[must_use]
    pub fn with_max_data_bytes(mut self, bytes: u64) -> Self {
        self.max_data_bytes = bytes;
        self
    }

    /// The queue's name.
    #[must_use]
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// The names of the queue's keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Makes the queue known: to our dispatchers through the registry, to BullMQ's tools through `meta`. What another
    /// client has written there stays.
    ///
    /// # Errors
    /// [`QueueError::Redis`]; in a cluster, [`RedisError::NoHashTag`] before anything is written.
    pub async fn register(&self) -> Result<(), QueueError> {
        self.redis.check_hash_tag(&self.keys)?;
        let meta = self.keys.key("meta");
        let describe = self.redis.commands(vec![
            ("HSETNX", vec![meta.as_str().into(), "opts.maxLenEvents".into(), MAX_EVENTS.into()]),
            ("HSETNX", vec![meta.into(), "version".into(), WIRE_VERSION.into()]),
        ]);
        tokio::try_join!(self.enter_registry(), describe)?;
        self.redis.note_registered(self.name.as_str());
        Ok(())
    }

    /// Names the queue in the registry. In a cluster that may lie on another server, whose death is not to stop this
    /// queue: then a dispatcher's search of all keys finds it by its `meta`.
    async fn enter_registry(&self) -> Result<(), RedisError> {
        let registry = registry(self.redis.prefix());
        let is_elsewhere = self.redis.is_cluster() && slot(&registry) != slot(self.keys.prefix());
        let entry = self.redis.command("SADD", vec![registry.into(), self.name.as_str().into()]);
        if !is_elsewhere {
            return entry.await.map(drop);
        }
        match tokio::time::timeout(REGISTRY_PATIENCE, entry).await {
            Ok(Err(error)) if !error.is_ambiguous() => Err(error),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(queue = %self.name, "the server of the registry does not answer; the queue goes without");
                Ok(())
            }
        }
    }

    /// Refuses to name keys under `other` in one call with those of this queue when a cluster keeps them apart.
    pub(crate) fn check_same_slot(&self, other: &str) -> Result<(), QueueError> {
        let own = self.keys.prefix();
        if !self.redis.is_cluster() || slot(own) == slot(other) {
            return Ok(());
        }
        Err(QueueError::DifferentSlots { first: own.to_owned(), second: other.to_owned() })
    }

    /// Makes the queue known unless this connection has done so.
    pub(crate) async fn ensure_registered(&self) -> Result<(), QueueError> {
        if self.redis.has_registered(self.name.as_str()) { Ok(()) } else { self.register().await }
    }

    /// The time as this queue's handles see it, epoch milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.redis.config().clock.now_ms()
    }

    /// Calls `script` with the queue's keys; `job` fills the places that stand for a job's own keys.
    pub(crate) async fn script(
        &self,
        script: &'static Script,
        job: Option<&str>,
        args: Vec<Arg>,
    ) -> Result<Reply, RedisError> {
        self.redis.check_hash_tag(&self.keys)?;
        let key = |suffix: &&str| match suffix.strip_prefix("<job>") {
            Some(rest) => [self.keys.prefix(), job.unwrap_or_default(), rest].concat(),
            None => self.keys.key(suffix),
        };
        let make = || script.keys.iter().map(key).collect::<ScriptKeys>();
        let keys = match job {
            Some(_) => make(),
            None => {
                let mut made = self.script_keys.lock().unwrap_or_else(PoisonError::into_inner);
                made.entry(script.name).or_insert_with(make).clone()
            }
        };
        self.redis.script(script, keys, args).await
    }

    /// Calls a script that answers with a code about one job. A key that is no job's is not touched.
    pub(crate) async fn job_script(
        &self,
        script: &'static Script,
        id: &str,
        args: Vec<Arg>,
    ) -> Result<i64, QueueError> {
        refuse_taken(id)?;
        let code = self.script(script, Some(id), args).await?.expect_int(script.name)?;
        if code < 0 {
            return Err(QueueError::Refused { id: id.to_owned(), refusal: Refusal::from_code(code) });
        }
        Ok(code)
    }
}

/// Refuses as missing what is no job but a key of the queue.
pub(crate) fn refuse_taken(id: &str) -> Result<(), QueueError> {
    if is_taken(id) { Err(QueueError::Refused { id: id.to_owned(), refusal: Refusal::JobMissing }) } else { Ok(()) }
}
