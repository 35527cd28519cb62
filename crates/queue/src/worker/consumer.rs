//! Processing by hand: claiming without a worker's loop, for programs that decide themselves when a job is taken and
//! when it ends. Nobody renews locks or looks for stalled jobs for them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use operator_core::{Failure, Job, JobId, Json};
use uuid::Uuid;

use super::call::{Claim, Settle, Settled, Terms, advance_scheduler};
use super::hold::Hold;
use super::options::WorkerOptions;
use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::wire::outcome::Verdict;

/// The reason of a job that was started too often, as the wire has it.
pub(super) const STARTED_TOO_OFTEN: &str = "job started more than allowable limit";

/// Claims jobs of one queue on demand.
#[derive(Clone)]
pub struct Consumer {
    queue: Queue,
    options: Arc<WorkerOptions>,
    terms: Arc<Terms>,
}

/// A held job, to be settled by whoever claimed it. Dropping it settles nothing: its lock expires, and it is recovered
/// as stalled.
pub struct HeldJob {
    hold: Hold,
}

/// What a claim gave.
pub struct Claimed {
    /// The job, if there was one to start.
    pub job: Option<HeldJob>,
    /// When the earliest delayed job is due, epoch milliseconds; only when there is no job.
    pub next_due_ms: Option<u64>,
    /// For how long a rate limit forbids more.
    pub limited_for: Option<Duration>,
}

impl Consumer {
    /// A consumer of `queue`. Of `options` it takes what concerns claims and outcomes: name, lock duration, limits,
    /// keep policies, backoff, stalled jobs, history.
    #[must_use]
    pub fn new(queue: Queue, options: &WorkerOptions) -> Self {
        Self { queue, options: Arc::new(options.clone()), terms: Arc::new(Terms::new(options)) }
    }

    /// Claims the next job under a token of its own.
    ///
    /// # Errors
    /// [`QueueError::Redis`]; after an ambiguous one a job may be held that nobody knows of: it is recovered as
    /// stalled. [`QueueError::Corrupt`] when the claimed job cannot be read: it has failed then. [`QueueError::InvalidArgument`] when one of
    /// the consumer's options is out of its range.
    pub async fn claim(&self) -> Result<Claimed, QueueError> {
        self.claim_as(&Uuid::now_v7().to_string()).await
    }

    /// Claims the next job under `token`, which must be unique among claims that are held.
    ///
    /// # Errors
    /// As [`Consumer::claim`].
    pub async fn claim_as(&self, token: &str) -> Result<Claimed, QueueError> {
        self.options.check_terms()?;
        let request = Settle { outcomes: Vec::new(), claim: one(token) };
        let settled = self.terms.settle(&self.queue, &request).await?;
        self.claimed(settled, request.claim.token).await
    }

    /// The holding of a job that was claimed under `token` earlier, here or in another process.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when there is no such job, [`QueueError::Redis`]. That the token still holds is checked
    /// by whatever is done with it.
    pub async fn resume(&self, id: &str, token: &str) -> Result<HeldJob, QueueError> {
        let missing = || QueueError::Refused { id: id.to_owned(), refusal: crate::Refusal::JobMissing };
        let job = self.queue.job(id).await?.ok_or_else(missing)?;
        Ok(self.held(job, token.into()))
    }

    /// Gives jobs whose worker went silent back to the queue, once per `stalled_interval` of all workers together;
    /// a job must be found twice. Answers with their ids.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] as for a claim; [`QueueError::Redis`].
    pub async fn check_stalled(&self) -> Result<Vec<String>, QueueError> {
        self.options.check_terms()?;
        Ok(self.terms.check_stalled(&self.queue).await?)
    }

    /// Whether a claimed job must be failed without running it, and why: a child or a stall has decided so, or it was
    /// started too often.
    #[must_use]
    pub fn must_fail(&self, job: &Job) -> Option<String> {
        self.terms.must_fail(job).map(|failure| failure.message)
    }

    async fn claimed(&self, settled: Settled, token: Arc<str>) -> Result<Claimed, QueueError> {
        let claimed = settled.claimed.into_iter().next();
        let job = match claimed.map(|claimed| (claimed.id, claimed.job)) {
            Some((id, Err(error))) => return Err(self.fail_unreadable(&id, token, error).await),
            Some((_, Ok(job))) => Some(job),
            None => None,
        };
        if let Some(job) = &job {
            advance_scheduler(&self.queue, job).await;
        }
        Ok(Claimed {
            job: job.map(|job| self.held(job, token)),
            next_due_ms: settled.next_due_ms,
            limited_for: settled.limited_for,
        })
    }

    /// A job whose hash is not what the wire says fails for good, as it would every time.
    async fn fail_unreadable(&self, id: &str, token: Arc<str>, error: QueueError) -> QueueError {
        let unreadable = self.held(Job::blank(self.queue.name.clone(), JobId::from_wire(id)), token);
        let verdict = Verdict::Failed { reason: error.to_string(), stacks: Vec::new() };
        let settled = unreadable.hold.settle(verdict, Claim::none()).await;
        settled.err().filter(|error| matches!(error, QueueError::Redis(_))).unwrap_or(error)
    }

    fn held(&self, job: Job, token: Arc<str>) -> HeldJob {
        HeldJob { hold: Hold::new(self.queue.clone(), Arc::new(job), token, Arc::clone(&self.terms)) }
    }
}

impl HeldJob {
    /// Completes the job.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when it has children that have not finished or that failed, was cancelled meanwhile (it
    /// has ended as that then), or is not held any more;
    /// [`QueueError::Redis`]: after an ambiguous one the call may be repeated, and a refusal then says that the first
    /// had taken effect or the job was lost.
    pub async fn complete(&self, result: Json) -> Result<(), QueueError> {
        self.end(Verdict::completed(self.job(), result), Claim::none()).await.map(drop)
    }

    /// Fails the attempt. Whether another follows is decided by the job's options and the consumer's.
    ///
    /// # Errors
    /// As [`HeldJob::complete`].
    pub async fn fail(&self, failure: Failure) -> Result<(), QueueError> {
        self.end(self.verdict(failure), Claim::none()).await.map(drop)
    }

    /// Completes the job and claims the next under the same token, in one step.
    ///
    /// # Errors
    /// As [`HeldJob::complete`] and [`Consumer::claim`].
    pub async fn complete_and_claim(&self, consumer: &Consumer, result: Json) -> Result<Claimed, QueueError> {
        consumer.options.check_terms()?;
        let settled = self.end(Verdict::completed(self.job(), result), one(self.token())).await?;
        consumer.claimed(settled, self.token().into()).await
    }

    /// Fails the attempt and claims the next job under the same token, in one step.
    ///
    /// # Errors
    /// As [`HeldJob::complete`] and [`Consumer::claim`].
    pub async fn fail_and_claim(&self, consumer: &Consumer, failure: Failure) -> Result<Claimed, QueueError> {
        consumer.options.check_terms()?;
        let settled = self.end(self.verdict(failure), one(self.token())).await?;
        consumer.claimed(settled, self.token().into()).await
    }

    /// Settles the job. One that is to be cancelled is cancelled, whatever became of it, and the caller is told.
    async fn end(&self, verdict: Verdict, claim: Claim) -> Result<Settled, QueueError> {
        let settled = self.hold.settle(verdict, claim).await;
        if matches!(settled, Err(QueueError::Refused { refusal: Refusal::Cancelled, .. })) {
            self.hold.settle(Verdict::cancelled(self.job()), Claim::none()).await?;
        }
        settled
    }

    fn verdict(&self, failure: Failure) -> Verdict {
        Verdict::of_failure(self.job(), failure, self.hold.rules(), rand::random())
    }
}

impl Deref for HeldJob {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

fn one(token: &str) -> Claim {
    Claim { token: token.into(), count: 1, only_if_settled: true }
}
