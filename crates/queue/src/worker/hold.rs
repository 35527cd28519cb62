//! What only the holder of an active job may do to it while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use backon::Retryable;
use operator_core::{InvalidOptions, Job, JobId, JobOptions, NewJob, ParentRef, QueueName};

use super::call::{Claim, Settle, Settled, Terms, extend_for, ms, reconnects};
use super::options::check_duration;
use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::wire::outcome::{Outcome, RetryRules, Verdict};

/// The holding of an active job: its claim's token, which every call shows. Whoever lost the job is refused.
#[derive(Clone)]
pub struct Hold {
    queue: Queue,
    job: Arc<Job>,
    token: Arc<str>,
    terms: Arc<Terms>,
    /// A [`Stay`]: written when the job leaves its attempt by its own wish, read by the driver.
    stay: Arc<AtomicU8>,
}

/// How far a job is on its way out of its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// It is held.
    Held,
    /// It asked to leave, and whether it did is not known yet.
    Leaving,
    /// It has left: there is nothing to renew and nothing to settle.
    Left,
}

impl Hold {
    pub(super) fn new(queue: Queue, job: Arc<Job>, token: Arc<str>, terms: Arc<Terms>) -> Self {
        Self { queue, job, token, terms, stay: Arc::new(AtomicU8::new(Stay::Held as u8)) }
    }

    /// The job as it was claimed.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Its queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What proves the holding.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether the job has left this attempt by its own wish.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.stay() == Stay::Left
    }

    pub(super) fn stay(&self) -> Stay {
        match self.stay.load(Ordering::SeqCst) {
            stay if stay == Stay::Held as u8 => Stay::Held,
            stay if stay == Stay::Leaving as u8 => Stay::Leaving,
            _ => Stay::Left,
        }
    }

    /// Lets the job go on at `at_ms` (epoch milliseconds), in an attempt that does not count.
    ///
    /// # Errors
    /// [`QueueError::InvalidOptions`] when that is more than [`JobOptions::MAX_DELAY_MS`] away,
    /// [`QueueError::Refused`] when the job is not held any more, [`QueueError::Redis`].
    pub async fn move_to_delayed(&self, at_ms: u64) -> Result<(), QueueError> {
        let delay_ms = at_ms.saturating_sub(self.queue.now_ms());
        if delay_ms > JobOptions::MAX_DELAY_MS {
            return Err(InvalidOptions::DelayTooLong { delay_ms }.into());
        }
        self.leave(Verdict::Postponed { delay_ms }).await
    }

    /// Puts the job back in line, first of its kind; the attempt does not count.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when the job is not held any more, [`QueueError::Redis`].
    pub async fn move_to_wait(&self) -> Result<(), QueueError> {
        self.leave(Verdict::HandedBack).await
    }

    /// Lets the queue rest for `pause` and puts the job back in line: for a job that was told to come later by whom
    /// it calls, which would tell its followers the same.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when the job is not held any more, [`QueueError::Redis`].
    pub async fn rate_limit(&self, pause: Duration) -> Result<(), QueueError> {
        self.queue.rate_limit(pause).await?;
        self.move_to_wait().await
    }

    /// Lets the job wait until its children have finished, or the one with the key `child_key`
    /// (`<prefix>:<queue>:<id>`). Says whether it waits: if not there is nothing to wait for, and the job goes on.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when children have failed or the job is not held any more, [`QueueError::Redis`].
    pub async fn move_to_waiting_children(&self, child_key: Option<&str>) -> Result<bool, QueueError> {
        match self.leave(Verdict::Parked { child_key: child_key.map(str::to_owned) }).await {
            Err(QueueError::Refused { refusal: Refusal::NothingPending, .. }) => Ok(false),
            answer => answer.map(|()| true),
        }
    }

    /// Adds `child` to the queue `queue_name` as a child of this job, whatever parent it names. The job does not wait for
    /// it before [`Hold::move_to_waiting_children`].
    ///
    /// # Errors
    /// As [`Queue::add`].
    pub async fn add_child(&self, queue_name: QueueName, mut child: NewJob) -> Result<JobId, QueueError> {
        let Queue { redis, name, max_data_bytes, .. } = &self.queue;
        let queue = format!("{}:{name}", redis.prefix());
        child.opts.parent = Some(ParentRef { id: self.job.id.clone(), queue });
        Queue::new(redis, queue_name).with_max_data_bytes(*max_data_bytes).add(child).await
    }

    /// Holds the job for `duration` from now. A worker renews its jobs by itself; this is for manual processing.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for less than a millisecond or more than 100 years, [`QueueError::Refused`] when
    /// the job is not held any more, [`QueueError::Redis`].
    pub async fn extend_lock(&self, duration: Duration) -> Result<(), QueueError> {
        check_duration("duration", duration)?;
        let lease = vec![(self.job.id.to_string(), Arc::clone(&self.token))];
        let lost = extend_for(&self.queue, lease, ms(duration)).await?;
        if lost.lost.is_empty() { Ok(()) } else { Err(self.refused(Refusal::LockMissing)) }
    }

    /// Settles the job and, with a `claim`, takes the next in the same step.
    pub(super) async fn settle(&self, verdict: Verdict, claim: Claim) -> Result<Settled, QueueError> {
        let outcome =
            Outcome { job: Arc::clone(&self.job), token: Arc::clone(&self.token), verdict, is_repeated: false };
        let settled = self.terms.settle(&self.queue, &Settle { outcomes: vec![outcome], claim }).await?;
        match settled.refused.first() {
            Some((_, refusal)) => Err(self.refused(*refusal)),
            None => Ok(settled),
        }
    }

    pub(super) fn rules(&self) -> &RetryRules {
        &self.terms.rules
    }

    /// Settles the job without an end. While answers are lost with the connection, it is asked for again.
    async fn leave(&self, verdict: Verdict) -> Result<(), QueueError> {
        // Before the call, so that the driver does not take the released lock for a lost one.
        self.set_stay(Stay::Leaving);
        let mut left = self.settle(verdict.clone(), Claim::none()).await.map(drop);
        if left.as_ref().is_err_and(is_ambiguous) {
            let again = || async { self.settle(verdict.clone(), Claim::none()).await.map(drop) };
            left = match again.retry(reconnects()).when(is_ambiguous).await {
                // By an earlier call, or it was lost: it is not here any more in either case.
                Err(QueueError::Refused { refusal, .. }) if refusal.is_lost_ownership() => Ok(()),
                answer => answer,
            };
        }
        self.set_stay(match &left {
            Ok(()) => Stay::Left,
            Err(error) if is_ambiguous(error) => Stay::Leaving,
            Err(_) => Stay::Held,
        });
        left
    }

    fn set_stay(&self, stay: Stay) {
        self.stay.store(stay as u8, Ordering::SeqCst);
    }

    pub(super) fn shared_token(&self) -> &Arc<str> {
        &self.token
    }

    fn refused(&self, refusal: Refusal) -> QueueError {
        QueueError::Refused { id: self.job.id.to_string(), refusal }
    }
}

fn is_ambiguous(error: &QueueError) -> bool {
    matches!(error, QueueError::Redis(error) if error.is_ambiguous())
}
