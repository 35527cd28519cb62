//! What workers run: each says so for as long as it lives, and what any of them ever ran is remembered.
//!
//! - `<prefix>::operator:{catalogue}:worker:<id>` is the [`Advert`] of a worker as JSON. It has a lease: it goes away by
//!   itself when nobody renews it.
//! - `<prefix>::operator:{catalogue}:workers` is the set of the ids that have, or had, such a key.
//! - `<prefix>::operator:{catalogue}:job-types` has the [`JobTypeRecord`] of each job type, as JSON by name, for ever.
//!
//! Plain commands do: every key is written as a whole, and what two workers write at once the next renewal puts right.

mod advertise;

use operator_core::pack::{Advert, JobTypeRecord};

use crate::error::QueueError;
use crate::keys::catalogue;
use crate::redis::{Arg, Redis, Reply};

pub use advertise::{AdvertiseOptions, Advertisement};

/// How many values one command asks for.
const STEP: usize = 500;

/// A job type as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// The record as it stands in Redis: the same text means the same record.
    pub text: String,
    /// What it says.
    pub record: JobTypeRecord,
}

/// The workers that live, in the order of their ids, which is that of their starts. Ids whose lease is over are forgotten.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn adverts(redis: &Redis) -> Result<Vec<Advert>, QueueError> {
    let mut ids = redis.command("SMEMBERS", vec![catalogue(redis.prefix(), "workers").into()]).await?.into_texts();
    ids.sort_unstable();
    let mut adverts = Vec::new();
    for ids in ids.chunks(STEP) {
        let keys = ids.iter().map(|id| worker_key(redis, id).into()).collect();
        let values = redis.command("MGET", keys).await?.into_list();
        let mut over = vec![Arg::from(catalogue(redis.prefix(), "workers"))];
        for (id, value) in ids.iter().zip(values) {
            match value.text() {
                // Of a release to come, perhaps: it is not ours to forget.
                Some(text) => adverts.extend(serde_json::from_str::<Advert>(&text).ok()),
                None => over.push(id.as_str().into()),
            }
        }
        if over.len() > 1 {
            redis.command("SREM", over).await?;
        }
    }
    Ok(adverts)
}

/// The names of all job types that any worker ever provided, in order.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn job_type_names(redis: &Redis) -> Result<Vec<String>, QueueError> {
    let mut names = redis.command("HKEYS", vec![job_types_key(redis)]).await?.into_texts();
    names.sort_unstable();
    Ok(names)
}

/// The records of these job types, each in the place of its name; `None` for one that nobody ever provided.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn job_types(redis: &Redis, names: &[String]) -> Result<Vec<Option<Recorded>>, QueueError> {
    let mut records = Vec::with_capacity(names.len());
    for names in names.chunks(STEP) {
        let args = std::iter::once(job_types_key(redis)).chain(names.iter().map(|name| name.as_str().into())).collect();
        let values = redis.command("HMGET", args).await?.into_list();
        records.extend(names.iter().zip(values).map(|(name, value)| recorded(name, &value)));
    }
    Ok(records)
}

/// A record that a later release wrote in a form of its own counts as a job type of which nothing is known.
fn recorded(name: &str, value: &Reply) -> Option<Recorded> {
    let text = value.text()?;
    let record = serde_json::from_str(&text).unwrap_or_default();
    Some(Recorded { name: name.to_owned(), text, record })
}

fn worker_key(redis: &Redis, id: &str) -> String {
    catalogue(redis.prefix(), &format!("worker:{id}"))
}

fn job_types_key(redis: &Redis) -> Arg {
    catalogue(redis.prefix(), "job-types").into()
}
