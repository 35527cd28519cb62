//! Changing what is in a queue by hand.

use std::time::Duration;

use operator_queue::worker::RateLimit;
use operator_queue::{QueueError, Refusal, RemoveOptions, RetryOptions};

use super::{Ours, Outcome, done, missing};
use crate::operation::Operation;

impl Ours {
    pub(super) async fn administer(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Pause(on) => done(self.queue(&on.queue)?.pause().await),
            Operation::Resume(on) => done(self.queue(&on.queue)?.resume().await),
            Operation::Promote(on) => done(self.queue(&on.queue)?.promote(&on.id).await),
            Operation::RetryJob(retry) => {
                let options = RetryOptions {
                    reset_attempts_made: retry.reset_attempts_made,
                    reset_attempts_started: retry.reset_attempts_started,
                    ..RetryOptions::default()
                };
                done(self.queue(&retry.queue)?.retry(&retry.id, options).await)
            }
            Operation::Remove(remove) => {
                let options = RemoveOptions { children: !remove.keep_children };
                match self.queue(&remove.queue)?.remove(&remove.id, options).await {
                    // For BullMQ a job that is not there is as good as removed.
                    Err(QueueError::Refused { refusal: Refusal::JobMissing, .. }) => done(Ok(true)),
                    Err(QueueError::Refused { refusal: Refusal::Locked, .. }) => done(Ok(false)),
                    outcome => done(outcome.map(|()| true)),
                }
            }
            Operation::SetGlobalConcurrency(set) => {
                done(self.queue(&set.queue)?.set_global_concurrency(set.concurrency).await)
            }
            Operation::RemoveGlobalConcurrency(on) => done(self.queue(&on.queue)?.remove_global_concurrency().await),
            Operation::SetGlobalRateLimit(set) => {
                let limit = RateLimit { max: set.max, duration: Duration::from_millis(set.duration) };
                done(self.queue(&set.queue)?.set_global_rate_limit(limit).await)
            }
            Operation::RemoveGlobalRateLimit(on) => done(self.queue(&on.queue)?.remove_global_rate_limit().await),
            Operation::RateLimit(limit) => {
                done(self.queue(&limit.queue)?.rate_limit(Duration::from_millis(limit.ms)).await)
            }
            Operation::RemoveRateLimitKey(on) => done(self.queue(&on.queue)?.remove_rate_limit().await.map(drop)),
            other => missing(other),
        }
    }
}
