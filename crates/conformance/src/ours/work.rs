//! Workers, and what they do with the jobs they hold.

use std::time::Duration;

use operator_core::{Failure, Json, Keep};
use operator_queue::worker::{Claimed, Consumer, HeldJob, RateLimit, WorkerOptions};
use operator_queue::{QueueError, Refusal};
use serde_json::{Value, json};

use super::{Ours, Outcome, done, invalid, missing, refused, view};
use crate::answer::Answer;
use crate::operation::{Claim, Complete, Fail, Operation, Worker};

/// A job that is held, and by whom.
pub(super) struct Held {
    job: HeldJob,
    consumer: Consumer,
}

impl Ours {
    pub(super) async fn work(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Worker(worker) => self.declare(worker),
            Operation::Claim(claim) => {
                let consumer = self.consumer(&claim.worker)?.clone();
                let claimed = consumer.claim_as(&claim.token).await.map_err(|error| refused(&error))?;
                Ok(self.keep(claimed, consumer, &claim.bind))
            }
            Operation::Complete(complete) => self.complete(complete).await,
            Operation::Fail(fail) => self.fail(fail).await,
            Operation::MoveToDelayed(to) => {
                let at_ms = self.clock.now_ms() + to.delay;
                done(self.held(&to.job)?.job.move_to_delayed(at_ms).await)
            }
            Operation::MoveToWait(on) => done(self.held(&on.job)?.job.move_to_wait().await),
            Operation::MoveToWaitingChildren(on) => done(self.held(&on.job)?.job.move_to_waiting_children(None).await),
            Operation::ExtendLock(extend) => {
                let duration = Duration::from_millis(extend.duration);
                match self.held(&extend.job)?.job.extend_lock(duration).await {
                    Err(QueueError::Refused { refusal: Refusal::LockMissing, .. }) => Ok(json!(false)),
                    outcome => done(outcome.map(|()| true)),
                }
            }
            Operation::StalledCheck(on) => {
                let mut ids = self.consumer(&on.worker)?.check_stalled().await.map_err(|error| refused(&error))?;
                ids.sort();
                Ok(json!(ids))
            }
            Operation::UpdateProgress(update) => {
                let progress = Json::from(update.progress.clone());
                done(self.queue(&update.queue)?.update_progress(&update.id, &progress).await)
            }
            Operation::UpdateData(update) => {
                let data = Json::from(update.data.clone());
                done(self.queue(&update.queue)?.update_data(&update.id, &data).await)
            }
            Operation::Log(log) => {
                let lines = [log.line.clone()];
                done(self.queue(&log.queue)?.add_logs(&log.id, &lines, log.keep_logs).await)
            }
            Operation::ClearLogs(clear) => {
                done(self.queue(&clear.queue)?.clear_logs(&clear.id, clear.keep.unwrap_or(0)).await)
            }
            other => missing(other),
        }
    }

    /// Holds a job that was claimed elsewhere for a worker of ours.
    ///
    /// # Errors
    /// An answer that says why not.
    pub(crate) async fn adopt(&mut self, claim: &Claim, id: &str) -> Result<(), Answer> {
        let consumer = self.consumer(&claim.worker)?.clone();
        let job = consumer.resume(id, &claim.token).await.map_err(|error| refused(&error))?;
        self.held.insert(claim.bind.clone(), Held { job, consumer });
        Ok(())
    }

    /// Holds a job no more.
    pub(crate) fn forget(&mut self, name: &str) {
        self.held.remove(name);
    }

    fn declare(&mut self, worker: &Worker) -> Outcome {
        let queue = self.queue(&worker.queue)?;
        let spec = &worker.options;
        let mut options = WorkerOptions::new([queue.name().clone()]);
        let duration = |ms: Option<u64>, default| ms.map_or(default, Duration::from_millis);
        options.lock_duration = duration(spec.lock_duration, options.lock_duration);
        options.stalled_interval = duration(spec.stalled_interval, options.stalled_interval);
        options.max_stalled = spec.max_stalled_count.unwrap_or(options.max_stalled);
        options.max_started_attempts = spec.max_started_attempts;
        options.metrics_max_data_points =
            spec.metrics.as_ref().map(|metrics| u32::try_from(metrics.max_data_points).unwrap_or(u32::MAX));
        options.name.clone_from(&spec.name);
        options.keep_completed = keep(spec.remove_on_complete.as_ref())?;
        options.keep_failed = keep(spec.remove_on_fail.as_ref())?;
        options.limiter = spec
            .limiter
            .as_ref()
            .map(|rate| RateLimit { max: rate.max, duration: Duration::from_millis(rate.duration) });
        self.consumers.insert(worker.worker.clone(), Consumer::new(queue, &options));
        Ok(Value::Null)
    }

    async fn complete(&mut self, complete: &Complete) -> Outcome {
        let Held { job, consumer } = self.held(&complete.job)?;
        let result = complete.result.clone().map_or_else(Json::null, Json::from);
        let Some(next) = &complete.next else { return done(job.complete(result).await) };
        let consumer = consumer.clone();
        let claimed = job.complete_and_claim(&consumer, result).await.map_err(|error| refused(&error))?;
        Ok(self.keep(claimed, consumer, &next.bind))
    }

    async fn fail(&mut self, fail: &Fail) -> Outcome {
        let Held { job, consumer } = self.held(&fail.job)?;
        let message = fail.message.clone();
        let failure = if fail.unrecoverable { Failure::unrecoverable(message) } else { Failure::retryable(message) };
        let failure = failure.at(fail.stack.clone());
        let Some(next) = &fail.next else { return done(job.fail(failure).await) };
        let consumer = consumer.clone();
        let claimed = job.fail_and_claim(&consumer, failure).await.map_err(|error| refused(&error))?;
        Ok(self.keep(claimed, consumer, &next.bind))
    }

    /// Keeps a claimed job under the name that later operations use, and tells of it.
    fn keep(&mut self, claimed: Claimed, consumer: Consumer, name: &str) -> Value {
        let Some(job) = claimed.job else { return Value::Null };
        let mut view = view::claimed(job.job());
        view["mustFail"] = json!(consumer.must_fail(job.job()));
        self.held.insert(name.to_owned(), Held { job, consumer });
        view
    }

    fn consumer(&self, name: &str) -> Result<&Consumer, Answer> {
        self.consumers.get(name).ok_or_else(|| Answer::Invalid(format!("no worker {name}")))
    }

    fn held(&self, name: &str) -> Result<&Held, Answer> {
        self.held.get(name).ok_or_else(|| Answer::Invalid(format!("no held job {name}")))
    }
}

fn keep(given: Option<&Value>) -> Result<Keep, Answer> {
    given.map_or(Ok(Keep::All), |value| Keep::try_from(value.clone()).map_err(|error| invalid(&error)))
}
