//! What is known of job types when somebody adds a job: read by name, kept for a moment, its schema compiled once.

mod admission;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use operator_core::pack::{JobTypeRecord, Schema};
use operator_queue::catalogue::{Recorded, job_types};
use operator_queue::{QueueError, Redis};

pub(crate) use admission::{Candidate, admit};

/// A name that nobody provided is asked for again after so long at most: its worker may just be starting.
const UNKNOWN_FOR: Duration = Duration::from_millis(250);

/// Above this many remembered names the memory is emptied: producers choose names freely, and asking again is cheap.
const MAX_REMEMBERED: usize = 5_000;

/// The job types that were asked for lately.
pub(crate) struct Catalogue {
    max_age: Duration,
    known: Mutex<HashMap<String, Known>>,
    /// Names that were warned of, so that each is logged once.
    warned: Mutex<HashSet<String>>,
}

struct Known {
    read: Instant,
    job_type: Option<Arc<JobType>>,
}

/// A job type that somebody provides or provided.
pub(crate) struct JobType {
    text: String,
    pub(crate) record: JobTypeRecord,
    pub(crate) input: Option<Schema>,
}

impl Catalogue {
    pub(crate) fn new(max_age: Duration) -> Self {
        Self { max_age, known: Mutex::default(), warned: Mutex::default() }
    }

    /// What is known of each of these names, no older than the settings allow.
    pub(crate) async fn find(
        &self,
        redis: &Redis,
        names: HashSet<&str>,
    ) -> Result<HashMap<String, Option<Arc<JobType>>>, QueueError> {
        let mut found: HashMap<_, _> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), self.fresh(name)?))).collect();
        let stale: Vec<_> = names.into_iter().filter(|name| !found.contains_key(*name)).map(str::to_owned).collect();
        if stale.is_empty() {
            return Ok(found);
        }
        let read = Instant::now();
        let records = job_types(redis, &stale).await?;
        let mut known = held(&self.known);
        if known.len() + stale.len() > MAX_REMEMBERED {
            known.clear();
        }
        for (name, recorded) in stale.into_iter().zip(records) {
            let before = known.get(&name).and_then(|known| known.job_type.clone());
            let job_type = recorded.map(|recorded| JobType::of(recorded, before));
            known.insert(name.clone(), Known { read, job_type: job_type.clone() });
            found.insert(name, job_type);
        }
        Ok(found)
    }

    fn fresh(&self, name: &str) -> Option<Option<Arc<JobType>>> {
        let known = held(&self.known);
        let entry = known.get(name)?;
        let max_age = if entry.job_type.is_some() { self.max_age } else { self.max_age.min(UNKNOWN_FOR) };
        (entry.read.elapsed() < max_age).then(|| entry.job_type.clone())
    }

    /// Whether `name` was not warned of before.
    fn is_news(&self, name: &str) -> bool {
        let mut warned = held(&self.warned);
        if warned.len() >= MAX_REMEMBERED {
            warned.clear();
        }
        warned.insert(name.to_owned())
    }
}

impl JobType {
    /// The same record is not compiled twice. A schema that cannot be used here is not applied: the worker that
    /// published it has its own say.
    fn of(recorded: Recorded, before: Option<Arc<Self>>) -> Arc<Self> {
        if let Some(before) = before.filter(|before| before.text == recorded.text) {
            return before;
        }
        let Recorded { name, text, record } = recorded;
        let input = record.info.input.as_ref().and_then(|source| {
            let compiled = Schema::compile(source);
            compiled.map_err(|error| tracing::warn!(name, %error, "the schema of a job type is not applied")).ok()
        });
        Arc::new(Self { text, record, input })
    }
}

/// Nothing panics while it holds one of these, so a poisoned one is still whole.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
