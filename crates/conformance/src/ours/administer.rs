//! Changing what is in a queue by hand.

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
                    // BullMQ answers how many were removed, and a missing job is none to worry about.
                    Err(QueueError::Refused { refusal: Refusal::Locked, .. }) => done(Ok(false)),
                    outcome => done(outcome.map(|()| true)),
                }
            }
            other => missing(other),
        }
    }
}
