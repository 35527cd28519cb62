//! Changing what is in a queue by hand: pause, resume, remove, promote, retry; and what a running job reports.

use operator_core::Json;

use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

/// The most log lines one call appends.
const LOG_CHUNK: usize = 1000;

/// How a finished job is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryOptions {
    /// First in line instead of last.
    pub lifo: bool,
    /// Count attempts from zero again; otherwise a job that used them all up fails at its first error.
    pub reset_attempts: bool,
}

impl Queue {
    /// Stops claims. Jobs that run are not touched; jobs can still be added.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn pause(&self) -> Result<(), QueueError> {
        self.script(&scripts::PAUSE, None, vec!["1".into()]).await?;
        Ok(())
    }

    /// Lets claims go on, and brings back what BullMQ 5 parked while the queue was paused.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn resume(&self) -> Result<(), QueueError> {
        while self.script(&scripts::PAUSE, None, vec!["0".into()]).await?.count() == 1 {}
        Ok(())
    }

    /// Removes a job that no worker holds.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it does not exist, is held, or is a scheduler's next iteration.
    pub async fn remove(&self, id: &str) -> Result<(), QueueError> {
        let args: Vec<Arg> = vec![self.keys.prefix().into(), id.into(), self.now_ms().into()];
        match self.job_script(&scripts::REMOVE, id, args).await? {
            0 => Err(QueueError::Refused { id: id.to_owned(), refusal: Refusal::Locked }),
            _ => Ok(()),
        }
    }

    /// Lets a delayed job run now.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it does not exist or is not delayed.
    pub async fn promote(&self, id: &str) -> Result<(), QueueError> {
        self.job_script(&scripts::PROMOTE, id, vec![self.keys.prefix().into(), id.into()]).await.map(drop)
    }

    /// Puts a finished job back in line.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it does not exist or has not finished.
    pub async fn retry(&self, id: &str, options: RetryOptions) -> Result<(), QueueError> {
        let flag = |on: bool| Arg::from(if on { "1" } else { "0" });
        let args = vec![self.keys.prefix().into(), id.into(), flag(options.lifo), flag(options.reset_attempts)];
        self.job_script(&scripts::RETRY, id, args).await.map(drop)
    }

    /// Notes how far a job has come.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it does not exist.
    pub async fn update_progress(&self, id: &str, progress: &Json) -> Result<(), QueueError> {
        let args = vec![id.into(), progress.as_str().into()];
        self.job_script(&scripts::PROGRESS, id, args).await.map(drop)
    }

    /// Replaces what a job works on. A running attempt goes on with the data it was claimed with; the next one sees this.
    ///
    /// # Errors
    /// [`QueueError::TooLarge`] before anything is written; [`QueueError::Refused`] when the job does not exist.
    pub async fn update_data(&self, id: &str, data: &Json) -> Result<(), QueueError> {
        self.check_size(data, None)?;
        self.job_script(&scripts::UPDATE_DATA, id, vec![data.as_str().into()]).await.map(drop)
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
}
