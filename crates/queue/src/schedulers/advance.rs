//! Keeps schedulers going: on BullMQ's wire the worker that claims a scheduler's job makes the next one, whoever
//! created the scheduler.

use operator_core::schedule::is_legacy_id;
use operator_core::{Job, JobId};

use super::iteration::Predecessor;
use super::scheduler_key;
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

impl Queue {
    /// Makes the job that follows `job` in its scheduler, if it is the scheduler's current one and another is due.
    /// Returns its id; calling it twice makes one. Workers do this for each job they claim; whoever claims by hand
    /// must do it before running the job, or the scheduler ends with it.
    ///
    /// # Errors
    /// [`QueueError::InvalidSchedule`] when the job's pattern or time zone cannot be read, [`QueueError::Corrupt`] when
    /// the job was made by BullMQ 5's repeatable jobs, which have to be migrated; [`QueueError::Redis`].
    pub async fn advance_scheduler(&self, job: &Job) -> Result<Option<JobId>, QueueError> {
        let Some(scheduler) = &job.scheduler_id else { return Ok(None) };
        if is_legacy_id(scheduler) && !self.is_scheduler(scheduler).await? {
            return Err(QueueError::Corrupt {
                what: format!("the repeatable job {scheduler} of queue {}", self.name),
                problem: "it is one of BullMQ 5's: make a scheduler of it".to_owned(),
            });
        }
        let prefix = format!("repeat:{scheduler}:");
        let slot = job.id.as_str().strip_prefix(&prefix).and_then(|slot| slot.parse().ok());
        let predecessor = job.wire_opts.decode().ok().and_then(Predecessor::of_job);
        let (Some(slot), Some(predecessor)) = (slot, predecessor) else { return Ok(None) };
        let now = self.now_ms();
        let Some(next) = predecessor.next(scheduler, slot, now)? else { return Ok(None) };
        let opts = serde_json::to_string(&next.opts).expect("a JSON map can be encoded");
        let args: Vec<Arg> = vec![
            self.keys.prefix().into(),
            scheduler.into(),
            job.id.as_str().into(),
            next.cron_slot.map(|slot| slot.to_string()).unwrap_or_default().into(),
            opts.into(),
            now.into(),
        ];
        let made = self.script(&scripts::ADVANCE, Some(&scheduler_key(scheduler)), args).await?;
        Ok(made.text().map(JobId::from_wire))
    }

    /// Whether a scheduler has this id; repeatable jobs of BullMQ 5 lie in the same place without a count.
    async fn is_scheduler(&self, id: &str) -> Result<bool, QueueError> {
        let args = vec![self.keys.key(&scheduler_key(id)).into(), "ic".into()];
        Ok(self.redis.command("HEXISTS", args).await?.count() == 1)
    }
}
