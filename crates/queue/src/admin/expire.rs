//! Jobs that are in line and were not started in time, where no worker comes to find out.

use operator_core::{Job, JobState, JobStatus};

use crate::error::QueueError;
use crate::queue::Queue;
use crate::read::Range;

use super::STEP;

/// What a look at the line found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// How many jobs have expired.
    pub expired: u64,
    /// Where the next look goes on; 0 when the end of the line was reached.
    pub next: u64,
}

impl Queue {
    /// Looks at up to a thousand jobs that are in line, those that are served next first, from the place `from` on, and
    /// fails those that should have been started by now and never were.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn expire_waiting(&self, from: u64) -> Result<Expiry, QueueError> {
        let range = Range { first: from, last: from + STEP - 1, ascending: true };
        let (mut expired, mut longest) = (0, 0);
        for state in [JobState::Waiting, JobState::Prioritized] {
            let ids = self.ids(state, range).await?;
            longest = longest.max(ids.len() as u64);
            if ids.is_empty() {
                continue;
            }
            for id in self.with_expiry(&ids).await? {
                if self.expire(&id).await? {
                    expired += 1;
                }
            }
        }
        // Those that went have made room: what followed them has their places.
        let next = if longest < STEP { 0 } else { (from + STEP).saturating_sub(expired) };
        Ok(Expiry { expired, next })
    }

    /// Those of `ids` whose options name a time to be started by.
    async fn with_expiry(&self, ids: &[String]) -> Result<Vec<String>, QueueError> {
        let commands = ids.iter().map(|id| ("HGET", vec![self.keys.key(id).into(), "opts".into()])).collect();
        let opts = self.redis.commands(commands).await?;
        let has_expiry = |opts: &str| opts.contains("\"ttlMs\"") || opts.contains("\"expiresAt\"");
        let chosen = ids.iter().zip(opts).filter(|(_, opts)| opts.text().is_some_and(|opts| has_expiry(&opts)));
        Ok(chosen.map(|(id, _)| id.clone()).collect())
    }

    async fn expire(&self, id: &str) -> Result<bool, QueueError> {
        let job = match self.job(id).await {
            Ok(Some(job)) => job,
            // The next claim fails it.
            Ok(None) | Err(QueueError::Corrupt { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let now_ms = self.now_ms();
        let Some(expires_ms) = is_late(&job, now_ms) else { return Ok(false) };
        match self.end_early(&job, &crate::worker::expired_reason(expires_ms), JobStatus::Failed, now_ms).await {
            // It has moved on.
            Err(QueueError::Refused { .. }) => Ok(false),
            ended => ended.map(|_| true),
        }
    }
}

/// When the job should have been started, if that is over and it never was.
fn is_late(job: &Job, now_ms: u64) -> Option<u64> {
    job.expires_ms().filter(|expires_ms| *expires_ms < now_ms && job.attempts_started == 0)
}
