//! Ending a queue with everything in it.

use crate::error::{QueueError, QueueRefusal};
use crate::keys::registry;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

use super::Progress;
use super::clean::{CleanedEvent, Sweep};
use super::keyspace::Part;

/// Every list and set of jobs, in the order in which BullMQ empties them; those it leaves come last.
const STATES: [&str; 8] =
    ["active", "delayed", "completed", "wait", "paused", "prioritized", "failed", "waiting-children"];

impl Queue {
    /// Removes the queue whole: its jobs, schedulers, settings, events, metrics, and the results that no dispatcher has
    /// fetched yet. It is paused first, and stays paused when it is refused or the future is dropped. Parents in other
    /// queues that waited for its jobs only go back in line there. Returns how many jobs were removed.
    ///
    /// Looks through all keys of the server, in small steps.
    ///
    /// # Errors
    /// [`QueueError::QueueRefused`] when jobs are active and it is without `force`, or somebody resumes the queue
    /// meanwhile; [`QueueError::Redis`].
    pub async fn obliterate(&self, force: bool, mut progress: impl FnMut(Progress) + Send) -> Result<u64, QueueError> {
        self.pause().await?;
        let mut jobs = 0;
        loop {
            self.end(force, false).await?;
            for state in STATES {
                let sweep = Sweep { state, newest_ms: None, spares_iterations: false, event: CleanedEvent::Never };
                self.sweep(sweep, None, |removed| {
                    jobs += removed.len() as u64;
                    progress(Progress { jobs, done: false });
                })
                .await?;
            }
            self.remove_belongings().await?;
            if self.end(force, true).await? {
                break;
            }
        }
        self.redis.forget_registered(self.name.as_str());
        self.redis.command("SREM", vec![registry(self.redis.prefix()).into(), self.name.as_str().into()]).await?;
        progress(Progress { jobs, done: true });
        Ok(jobs)
    }

    /// Asks whether the queue may be obliterated, and if its jobs are gone and `now`, ends it. Says whether it ended.
    async fn end(&self, force: bool, now: bool) -> Result<bool, QueueError> {
        let flag = |on: bool| Arg::from(if on { "1" } else { "0" });
        let args = vec![self.keys.prefix().into(), flag(force), flag(now)];
        let refusal = match self.script(&scripts::OBLITERATE, None, args).await?.expect_int("of obliterate")? {
            -1 => QueueRefusal::NotPaused,
            -2 => QueueRefusal::ActiveJobs,
            answer => return Ok(answer == 0),
        };
        Err(QueueError::QueueRefused { queue: self.name.to_string(), refusal })
    }

    /// Removes what no list or set of the queue leads to: deduplication ids, jobs in no state, keys of ours.
    async fn remove_belongings(&self) -> Result<(), QueueError> {
        let mut scan = self.scan_keys();
        while let Some(page) = scan.next_page().await? {
            let (mut keys, mut ids) = (Vec::new(), Vec::new());
            for rest in &page {
                match Part::of(rest) {
                    Part::Belonging => keys.push(Arg::from(self.keys.key(rest))),
                    Part::Job(id) => ids.push(id),
                    Part::Other => {}
                }
            }
            if !keys.is_empty() {
                self.redis.command("UNLINK", keys).await?;
            }
            self.remove_stateless(&ids).await?;
        }
        Ok(())
    }
}
