//! Single jobs of callers that know nothing of each other: while one call is under way, what the others add gathers,
//! and the next call takes it all. A caller who is alone is served at once.
//!
//! Only plain jobs meet here. One that could be refused, or whose key could turn out to be something else, would take
//! strangers down with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use operator_core::{JobId, JobOptions, NewJob};
use tokio::sync::oneshot;

use crate::add::{CHUNK_BYTES, CHUNK_JOBS};
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::RedisError;
use crate::wire::new_job::WireJob;

/// Who waits for the call that is under way, by queue; a queue without such a call is not here.
#[derive(Default)]
pub(crate) struct Gatherings(Mutex<HashMap<String, Vec<Waiting>>>);

/// A job that goes with the next call.
struct Waiting {
    entry: Entry,
    added: oneshot::Sender<Result<(), RedisError>>,
}

struct Entry {
    job: NewJob,
    id: JobId,
    now_ms: u64,
}

/// The right to call for a queue. Whoever drops it, at the end of the call or because its caller went away, lets those
/// who gathered meanwhile go next.
struct Turn(Queue);

impl Queue {
    /// Whether a job can be added together with those of strangers: nothing about it can make a call fail.
    pub(crate) fn is_plain(opts: &JobOptions) -> bool {
        opts.job_id.is_none() && opts.parent.is_none() && opts.deduplication.is_none()
    }

    /// Adds a plain job that has been checked, together with whatever gathers.
    pub(crate) async fn add_gathered(&self, job: NewJob, id: JobId) -> Result<(), QueueError> {
        let entry = Entry { job, id, now_ms: self.now_ms() };
        let (turn, entry) = match self.queue_up(entry) {
            Ok(first) => first,
            Err(added) => {
                let gone = || RedisError::Lost { problem: "the connection's runtime has ended".to_owned() };
                return Ok(added.await.unwrap_or_else(|_| Err(gone()))?);
            }
        };
        Ok(turn.call(&[entry]).await?)
    }

    /// The turn and the entry back, when nobody calls; otherwise it is among the waiting.
    fn queue_up(&self, entry: Entry) -> Result<(Turn, Entry), oneshot::Receiver<Result<(), RedisError>>> {
        let mut gatherings = self.redis.gatherings().lock();
        match gatherings.get_mut(self.keys.prefix()) {
            None => {
                gatherings.insert(self.keys.prefix().to_owned(), Vec::new());
                Ok((Turn(self.clone()), entry))
            }
            Some(waiting) => {
                let (added, outcome) = oneshot::channel();
                waiting.push(Waiting { entry, added });
                Err(outcome)
            }
        }
    }
}

impl Gatherings {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As many as one call takes; none means that nobody calls any more.
    fn next(&self, prefix: &str) -> Vec<Waiting> {
        let mut gatherings = self.lock();
        let Some(waiting) = gatherings.get_mut(prefix).filter(|waiting| !waiting.is_empty()) else {
            gatherings.remove(prefix);
            return Vec::new();
        };
        let mut bytes = 0;
        let fitting = waiting.iter().take(CHUNK_JOBS).take_while(|waiting| {
            bytes += waiting.entry.job.data.as_str().len();
            bytes <= CHUNK_BYTES
        });
        let taken = fitting.count().max(1);
        let rest = waiting.split_off(taken);
        std::mem::replace(waiting, rest)
    }
}

impl Turn {
    async fn call(&self, entries: &[Entry]) -> Result<(), RedisError> {
        let wire_jobs = entries.iter();
        let wire_jobs = wire_jobs
            .map(|Entry { job, id, now_ms }| WireJob::new(id, &job.name, &job.data, &job.opts, *now_ms))
            .collect();
        self.0.send_jobs(wire_jobs, self.0.now_ms()).await.map(drop)
    }

    async fn call_for(self, waiting: Vec<Waiting>) {
        let (entries, callers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|Waiting { entry, added }| (entry, added)).unzip();
        let outcome = self.call(&entries).await;
        for caller in callers {
            // A caller who no longer listens has its job added all the same, as with a call of its own.
            let _ = caller.send(outcome.clone());
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let waiting = self.0.redis.gatherings().next(self.0.keys.prefix());
        if !waiting.is_empty() {
            let turn = Self(self.0.clone());
            self.0.redis.runtime().spawn(turn.call_for(waiting));
        }
    }
}
