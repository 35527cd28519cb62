//! Waiting for a job to finish, for no longer than one says.

use std::time::Duration;

use operator_core::Json;
use operator_core::ids::is_taken;
use thiserror::Error;
use tokio::sync::oneshot;

use super::event::read_entry;
use super::watch::{Ending, MAX_WAITERS, NotReady, Seen, Waiter};
use super::{Event, EventId};
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{RedisError, Reply};
use crate::scripts;
use crate::wire::job::json_or_text;

/// How often a job is looked at although no event came: draining and retention remove jobs without one.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// How many entries of the stream are searched for the end of a job whose hash is gone, and how many at a time: as many
/// as a stream holds by default.
const SEARCHED_PAGES: u64 = 20;
const SEARCHED_PAGE: u64 = 500;

/// How a job finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// With this result.
    Completed(Json),
    /// Without one, for this reason.
    Failed(String),
}

/// Why nobody can say how a job finished.
#[derive(Debug, Error)]
pub enum WaitError {
    /// It had not finished in time. It may yet.
    #[error("job {id} did not finish within {} ms: wait longer, or see whether a worker serves its queue", .after.as_millis())]
    TimedOut {
        /// The job.
        id: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// It was removed before it finished.
    #[error("job {id} was removed before it finished")]
    Removed {
        /// The job.
        id: String,
    },
    /// There is no such job, and no trace of its end.
    #[error("job {id} does not exist in this queue")]
    NotFound {
        /// The job.
        id: String,
    },
    /// Too many wait already.
    #[error(
        "no more than {limit} {what} can be waited for at a time over one connection: wait for fewer, or ask later"
    )]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: usize,
    },
    /// The queue could not be asked.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<RedisError> for WaitError {
    fn from(error: RedisError) -> Self {
        Self::Queue(error.into())
    }
}

/// What a look at a job shows.
enum Look {
    Finished(Finished),
    /// Not finished when this was the newest event.
    Open(EventId),
    Gone,
}

impl Queue {
    /// Waits until the job `id` has finished, or `timeout` has passed. It is no matter whether it finishes before, while
    /// or after one begins to wait, and whether it is kept: the end of a removed job is searched in the events.
    ///
    /// All who wait for jobs of a queue share one subscription.
    ///
    /// # Errors
    /// [`WaitError`].
    pub async fn wait_until_finished(&self, id: &str, timeout: Duration) -> Result<Finished, WaitError> {
        match tokio::time::timeout(timeout, self.wait_for(id)).await {
            Ok(end) => end,
            Err(_) => Err(WaitError::TimedOut { id: id.to_owned(), after: timeout }),
        }
    }

    async fn wait_for(&self, id: &str) -> Result<Finished, WaitError> {
        // A listener is worth a connection to the server: nobody listens for a job that is not there.
        match self.look(id).await? {
            Look::Finished(end) => return Ok(end),
            Look::Gone => return self.end_in_events(id, false).await,
            Look::Open(_) => {}
        }
        loop {
            // First listen, then look: what happens in between is heard.
            let Some(mut seen) = self.listen_for(id).await? else { continue };
            let newest = match self.look(id).await? {
                Look::Finished(end) => return Ok(end),
                Look::Open(newest) => newest,
                Look::Gone => return self.end_in_events(id, true).await,
            };
            if let Ok(Ok(Seen::Ended { at, how })) = tokio::time::timeout(LOOK_EVERY, &mut seen).await {
                // An older event is about another job that had this id.
                if at > newest {
                    return how.for_job(id);
                }
            }
        }
    }

    /// Makes sure that the next event that ends the job is passed on. `None` when the watch ended just then.
    async fn listen_for(&self, id: &str) -> Result<Option<oneshot::Receiver<Seen>>, WaitError> {
        let (ready, is_ready) = oneshot::channel();
        let (sender, seen) = oneshot::channel();
        let watch = self.redis.watches().of(self)?;
        if watch.send(Waiter { job_id: id.to_owned(), ready, seen: sender }).await.is_err() {
            return Ok(None);
        }
        match is_ready.await {
            Ok(Ok(())) => Ok(Some(seen)),
            Ok(Err(NotReady::Redis(error))) => Err(error.into()),
            Ok(Err(NotReady::TooMany)) => Err(WaitError::TooMany { what: "jobs", limit: MAX_WAITERS }),
            Err(_) => Ok(None),
        }
    }

    async fn look(&self, id: &str) -> Result<Look, WaitError> {
        if is_taken(id) {
            return Ok(Look::Gone);
        }
        let answer = self.script(&scripts::FINISHED, Some(id), vec![id.into()]).await?.into_list();
        let text = |at: usize| answer.get(at).and_then(Reply::text).unwrap_or_default();
        match answer.first().and_then(Reply::int) {
            Some(1) => Ok(Look::Finished(Finished::Completed(json_or_text(text(1))))),
            Some(2) => Ok(Look::Finished(Finished::Failed(text(1)))),
            Some(0) => Ok(Look::Open(text(2).parse().unwrap_or_default())),
            Some(-1) => Ok(Look::Gone),
            _ => Err(RedisError::Answer { what: "finished" }.into()),
        }
    }

    /// The end of a job whose hash is gone, as the events still tell it.
    async fn end_in_events(&self, id: &str, was_there: bool) -> Result<Finished, WaitError> {
        let mut before = "+".to_owned();
        for _ in 0..SEARCHED_PAGES {
            let key = self.keys.key("events").into();
            let args = vec![key, before.into(), "-".into(), "COUNT".into(), SEARCHED_PAGE.into()];
            let page = self.redis.command("XREVRANGE", args).await?.into_list();
            let is_last = (page.len() as u64) < SEARCHED_PAGE;
            let mut oldest = EventId::START;
            for entry in page.into_iter().filter_map(read_entry) {
                oldest = entry.id;
                if entry.event.job_id() != Some(id) {
                    continue;
                }
                match Ending::of(entry.event) {
                    Ok(end) => return end.for_job(id),
                    // The job was there and went without a word: drained, or cleaned away.
                    Err(Event::Added { .. }) => return Err(WaitError::Removed { id: id.to_owned() }),
                    Err(_) => {}
                }
            }
            if is_last {
                break;
            }
            before = format!("({oldest}");
        }
        let id = id.to_owned();
        Err(if was_there { WaitError::Removed { id } } else { WaitError::NotFound { id } })
    }
}

impl Ending {
    fn for_job(self, id: &str) -> Result<Finished, WaitError> {
        match self {
            Self::Completed(result) => Ok(Finished::Completed(result)),
            Self::Failed(reason) => Ok(Finished::Failed(reason)),
            Self::Removed => Err(WaitError::Removed { id: id.to_owned() }),
        }
    }
}
