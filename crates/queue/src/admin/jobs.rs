//! What is done to one job that waits or runs: promote it, change its delay, priority or data, its progress and log.

use operator_core::{InvalidOptions, JobOptions, Json, Priority};

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

/// The most log lines one call appends.
const LOG_CHUNK: usize = 1000;

impl Queue {
    /// Lets a delayed job run now.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it does not exist or is not delayed.
    pub async fn promote(&self, id: &str) -> Result<(), QueueError> {
        self.job_script(&scripts::PROMOTE, id, vec![self.keys.prefix().into(), id.into()]).await.map(drop)
    }

    /// Gives a delayed job another delay, which counts from now.
    ///
    /// # Errors
    /// [`QueueError::InvalidOptions`] for a delay beyond [`JobOptions::MAX_DELAY_MS`]; [`QueueError::Refused`] when the
    /// job does not exist or is not delayed.
    pub async fn change_delay(&self, id: &str, delay_ms: u64) -> Result<(), QueueError> {
        if delay_ms > JobOptions::MAX_DELAY_MS {
            return Err(InvalidOptions::DelayTooLong { delay_ms }.into());
        }
        let args = vec![id.into(), delay_ms.into(), self.now_ms().into()];
        self.job_script(&scripts::CHANGE_DELAY, id, args).await.map(drop)
    }

    /// Gives a job another priority. One that waits takes the place that goes with it: the last of that priority, or
    /// with `lifo` the first. One in another state keeps its place and has the priority from its next one on.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it does not exist.
    pub async fn change_priority(&self, id: &str, priority: Priority, lifo: bool) -> Result<(), QueueError> {
        let lifo = if lifo { "1" } else { "0" };
        let args = vec![id.into(), u64::from(priority.get()).into(), lifo.into()];
        self.job_script(&scripts::CHANGE_PRIORITY, id, args).await.map(drop)
    }

    /// Gives a job other data. A worker that runs it already keeps what it was given.
    ///
    /// # Errors
    /// [`QueueError::TooLarge`] as when adding; [`QueueError::Refused`] when the job does not exist.
    pub async fn update_data(&self, id: &str, data: &Json) -> Result<(), QueueError> {
        self.check_size(data, None)?;
        match self.job_script(&scripts::UPDATE_DATA, id, vec![data.as_str().into()]).await? {
            0 => Ok(()),
            own_limit => self.check_size(data, Some(own_limit.unsigned_abs())),
        }
    }

    /// Notes how far a job has come.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it does not exist.
    pub async fn update_progress(&self, id: &str, progress: &Json) -> Result<(), QueueError> {
        let args = vec![id.into(), progress.as_str().into()];
        self.job_script(&scripts::PROGRESS, id, args).await.map(drop)
    }

    /// Appends lines to a job's log and returns its length; `keep` bounds it to the newest.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when the job does not exist.
    pub async fn add_logs(&self, id: &str, lines: &[String], keep: Option<u32>) -> Result<u64, QueueError> {
        let mut length = 0;
        for chunk in lines.chunks(LOG_CHUNK) {
            let mut args: Vec<Arg> = vec![u64::from(keep.unwrap_or(0)).into()];
            args.extend(chunk.iter().map(Arg::from));
            length = self.job_script(&scripts::LOG, id, args).await?.unsigned_abs();
        }
        Ok(length)
    }

    /// Empties a job's log but for the newest `keep` lines. There need not be such a job.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn clear_logs(&self, id: &str, keep: u32) -> Result<(), QueueError> {
        let key = self.keys.of_job(id, "logs").into();
        if keep == 0 {
            self.redis.command("UNLINK", vec![key]).await?;
        } else {
            self.redis.command("LTRIM", vec![key, (-i64::from(keep)).into(), (-1i64).into()]).await?;
        }
        Ok(())
    }
}
