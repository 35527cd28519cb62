//! A worker's own entry: published when it starts, renewed while it lives, taken back when it stops.

use std::collections::BTreeMap;
use std::time::Duration;

use operator_core::Json;
use operator_core::pack::{Advert, JobTypeRecord};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use uuid::Uuid;

use super::{adverts, job_types, job_types_key, worker_key};
use crate::error::QueueError;
use crate::keys::catalogue;
use crate::redis::{Arg, Redis};

/// How many renewals there are in a lease: two may be lost.
const RENEWALS: u32 = 3;

/// Every how many renewals the records are looked at again: a worker that started at the same moment with an older
/// version may have written last.
const RENEWALS_PER_LOOK: u32 = 6;

/// How an entry is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvertiseOptions {
    /// How long the entry of a worker that died stays.
    pub lease: Duration,
    /// How many job types are remembered in all; a worker adds none beyond it.
    pub max_job_types: u64,
}

impl Default for AdvertiseOptions {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), max_job_types: 10_000 }
    }
}

/// The entry of a living worker. Dropping it stops the renewal, and the lease ends; [`Advertisement::withdraw`] ends it
/// at once.
pub struct Advertisement {
    entry: Entry,
    renewing: JoinHandle<()>,
}

#[derive(Clone)]
struct Entry {
    redis: Redis,
    id: String,
    text: String,
    records: BTreeMap<String, JobTypeRecord>,
    options: AdvertiseOptions,
}

impl Advertisement {
    /// Publishes `advert`, and renews it until this is dropped. One without an id is given one.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn publish(redis: &Redis, mut advert: Advert, options: AdvertiseOptions) -> Result<Self, QueueError> {
        if advert.id.is_empty() {
            advert.id = Uuid::now_v7().to_string();
        }
        // Nobody else may ever read, so whoever starts forgets the dead.
        adverts(redis).await?;
        let (id, records) = (advert.id.clone(), advert.records());
        let text = Json::encode(&advert.without_schemas())
            .map_err(|error| QueueError::Corrupt { what: "an advert".to_owned(), problem: error.to_string() })?
            .as_str()
            .to_owned();
        let entry = Entry { redis: redis.clone(), id, text, records, options };
        entry.renew().await?;
        entry.record(true).await?;
        let renewing = tokio::spawn(entry.clone().keep());
        Ok(Self { entry, renewing })
    }

    /// Takes the entry back. The records stay.
    ///
    /// # Errors
    /// [`QueueError::Redis`]: then the lease ends by itself.
    pub async fn withdraw(self) -> Result<(), QueueError> {
        self.renewing.abort();
        let Entry { redis, id, .. } = &self.entry;
        redis.command("DEL", vec![worker_key(redis, id).into()]).await?;
        redis.command("SREM", vec![catalogue(redis.prefix(), "workers").into(), id.as_str().into()]).await?;
        Ok(())
    }
}

impl Drop for Advertisement {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Entry {
    async fn keep(self) {
        let mut turns = interval(self.options.lease / RENEWALS);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.tick().await;
        for turn in 1u32.. {
            turns.tick().await;
            // The first look is early: it is the workers of one roll-out that write at the same moment.
            let looks = turn == 1 || turn.is_multiple_of(RENEWALS_PER_LOOK);
            let mut renewed = self.renew().await;
            if looks && renewed.is_ok() {
                renewed = self.record(false).await;
            }
            if let Err(error) = renewed {
                tracing::warn!(%error, "what this worker runs could not be made known; it is tried again");
            }
        }
    }

    /// Writes all of it, so that a server that lost its data learns it again.
    async fn renew(&self) -> Result<(), QueueError> {
        let lease_ms = u64::try_from(self.options.lease.as_millis()).unwrap_or(u64::MAX).max(1);
        let own = worker_key(&self.redis, &self.id);
        let set = vec![own.into(), self.text.as_str().into(), "PX".into(), lease_ms.into()];
        let add = vec![catalogue(self.redis.prefix(), "workers").into(), self.id.as_str().into()];
        self.redis.commands(vec![("SET", set), ("SADD", add)]).await?;
        Ok(())
    }

    async fn record(&self, is_start: bool) -> Result<(), QueueError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.records.keys().cloned().collect();
        let known = job_types(&self.redis, &names).await?;
        let mut room = self.room().await?;
        let mut args: Vec<Arg> = Vec::new();
        let mut left_out = 0u64;
        for ((name, own), known) in self.records.iter().zip(known) {
            match known {
                Some(known) if !own.replaces(&known.record, is_start) => continue,
                None if room == 0 => {
                    left_out += 1;
                    continue;
                }
                None => room -= 1,
                Some(_) => {}
            }
            let text = Json::encode(own)
                .map_err(|error| QueueError::Corrupt { what: "a job type".to_owned(), problem: error.to_string() })?;
            args.extend([Arg::from(name.as_str()), text.as_str().into()]);
        }
        if left_out > 0 && is_start {
            let limit = self.options.max_job_types;
            tracing::warn!(left_out, limit, "job types were not recorded: raise OPERATOR_MAX_JOB_TYPES");
        }
        if !args.is_empty() {
            args.insert(0, job_types_key(&self.redis));
            self.redis.command("HSET", args).await?;
        }
        Ok(())
    }

    async fn room(&self) -> Result<u64, QueueError> {
        let count = self.redis.command("HLEN", vec![job_types_key(&self.redis)]).await?.count();
        Ok(self.options.max_job_types.saturating_sub(count))
    }
}
