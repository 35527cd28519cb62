//! Ending a job before its time because somebody wants it to end.

use futures::stream::{self, StreamExt};
use operator_core::{Job, JobId, JobStatus, Keep};

use crate::error::{QueueError, Refusal};
use crate::keys::JobKey;
use crate::queue::{Queue, refuse_taken};
use crate::redis::{Arg, Reply};
use crate::scripts;
use crate::wire::outcome::keep_numbers;
use crate::wire::record::WireRecord;

use super::STEP;

/// The most jobs below a cancelled one that go with it: all of them are found before the first is cancelled.
const MAX_BELOW: usize = 10_000;

/// The longest reason, in bytes: it stands in the job, in its events and in the history.
const MAX_REASON: usize = 1000;

/// How many entries the history of a queue may hold when a cancelled job is added: as many as workers leave by default.
const HISTORY_ENTRIES: u64 = 100_000;

/// How often a job is read again that changed between the look and the call.
const LOOKS: usize = 5;

/// How many children are cancelled at a time.
const AT_ONCE: usize = 16;

/// What is cancelled with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CancelOptions {
    /// The children below it that have not ended, in whatever queues of the same prefix.
    pub children: bool,
}

/// What a cancellation has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancellation {
    /// How far it has come.
    pub stage: CancelStage,
    /// How many jobs below it were cancelled or told to stop.
    pub children: u64,
}

/// How far a cancellation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelStage {
    /// The job has ended.
    Ended,
    /// It runs, and its worker was told to stop it.
    Stopping,
    /// It runs on a worker that cannot be told, or lost the one it had: it will not be run again, and the end of this
    /// attempt is up to its worker.
    Marked,
}

impl Queue {
    /// Cancels a job. One that does not run fails at once, with the status `cancelled`. One that runs is told to stop,
    /// and ends as cancelled whatever becomes of it; it is never run again. To its parent the end is a failure.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when the job does not exist, has finished, or is a scheduler's next iteration;
    /// [`QueueError::InvalidArgument`] for a reason of more than 1000 bytes, or more than 10000 jobs below, of which none
    /// is cancelled then; [`QueueError::Redis`].
    pub async fn cancel(&self, id: &str, reason: &str, options: CancelOptions) -> Result<Cancellation, QueueError> {
        refuse_taken(id)?;
        if reason.len() > MAX_REASON {
            let problem = format!("it has {} bytes and at most {MAX_REASON} are allowed: shorten it", reason.len());
            return Err(QueueError::InvalidArgument { field: "reason", problem });
        }
        let reason = if reason.is_empty() { "cancelled".to_owned() } else { format!("cancelled: {reason}") };
        let below = if options.children { self.below(id).await? } else { Vec::new() };
        let stage = self.cancel_one(id, &reason).await?;
        let cancels = stream::iter(below).map(|child| {
            let (queue, reason) = (Self::new(&self.redis, child.queue), &reason);
            async move { queue.cancel_one(child.id.as_str(), reason).await }
        });
        let mut answers = cancels.buffer_unordered(AT_ONCE);
        let mut children = 0;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(_) => children += 1,
                // It has ended by itself, or is gone.
                Err(QueueError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Cancellation { stage, children })
    }

    async fn cancel_one(&self, id: &str, reason: &str) -> Result<CancelStage, QueueError> {
        let mut answer = Err(QueueError::Refused { id: id.to_owned(), refusal: Refusal::Changed });
        for _ in 0..LOOKS {
            let job = match self.job(id).await {
                Ok(Some(job)) => job,
                Ok(None) => return Err(QueueError::Refused { id: id.to_owned(), refusal: Refusal::JobMissing }),
                // One that nobody can read can be cancelled all the same.
                Err(QueueError::Corrupt { .. }) => Job::blank(self.name.clone(), JobId::from_wire(id)),
                Err(error) => return Err(error),
            };
            answer = self.end_early(&job, reason, JobStatus::Cancelled, self.now_ms()).await;
            if !matches!(answer, Err(QueueError::Refused { refusal: Refusal::Changed, .. })) {
                break;
            }
        }
        answer
    }

    /// Ends a job as `status` if it does not run, and is as the caller knows it.
    pub(super) async fn end_early(
        &self,
        job: &Job,
        reason: &str,
        status: JobStatus,
        now_ms: u64,
    ) -> Result<CancelStage, QueueError> {
        let id = job.id.as_str();
        let record = WireRecord::new(job, status, &job.stacktrace, None, now_ms).without_attempt();
        let (count, age, limit) = keep_numbers(job.opts.remove_on_fail.unwrap_or(Keep::All));
        let args: Vec<Arg> = vec![
            self.keys.prefix().into(),
            id.into(),
            now_ms.into(),
            reason.into(),
            u64::from(job.attempts_made).into(),
            u64::from(job.attempts_started).into(),
            count.into(),
            age.into(),
            limit.into(),
            record.pack().into(),
            HISTORY_ENTRIES.into(),
            if status == JobStatus::Cancelled { "1" } else { "0" }.into(),
        ];
        Ok(match self.job_script(&scripts::CANCEL, id, args).await? {
            1 => CancelStage::Ended,
            2 => CancelStage::Stopping,
            _ => CancelStage::Marked,
        })
    }

    /// The jobs below one that it still waits for, and those that they wait for in turn, in steps.
    async fn below(&self, id: &str) -> Result<Vec<JobKey>, QueueError> {
        let mut found: Vec<JobKey> = Vec::new();
        let mut known = std::collections::HashSet::from([self.keys.key(id)]);
        let mut parents = vec![self.keys.key(id)];
        while let Some(parent) = parents.pop() {
            for child in self.pending_children(&parent).await? {
                let key = JobKey::parse(&child).filter(|key| key.prefix == self.redis.prefix());
                let Some(key) = key.filter(|_| known.insert(child.clone())) else { continue };
                found.push(key);
                parents.push(child);
                if found.len() > MAX_BELOW {
                    let problem = format!("there are more than {MAX_BELOW} jobs below: cancel them in parts");
                    return Err(QueueError::InvalidArgument { field: "children", problem });
                }
            }
        }
        Ok(found)
    }

    async fn pending_children(&self, job_key: &str) -> Result<Vec<String>, QueueError> {
        let (mut children, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let key = format!("{job_key}:dependencies");
            let args = vec![key.into(), cursor.as_str().into(), "COUNT".into(), STEP.into()];
            let mut page = self.redis.command("SSCAN", args).await?.into_list().into_iter();
            cursor = page.next().and_then(|next| next.text()).unwrap_or_else(|| "0".to_owned());
            children.extend(page.next().map(Reply::into_texts).unwrap_or_default());
            if cursor == "0" || children.len() > MAX_BELOW {
                return Ok(children);
            }
        }
    }
}
