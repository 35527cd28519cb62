//! Changing what is in a queue by hand.

use std::time::Duration;

use operator_core::Priority;
use operator_queue::worker::RateLimit;
use operator_queue::{Progress, QueueError, Refusal, RemoveOptions, RetryOptions};

use super::{Ours, Outcome, done, invalid, missing};
use crate::operation::Operation;

/// Nobody watches a step of a sequence.
fn ignore(_: Progress) {}

/// How many jobs BullMQ moves in one step.
const STEP: u64 = 1000;

impl Ours {
    pub(super) async fn administer(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Pause(on) => done(self.queue(&on.queue)?.pause().await),
            Operation::Resume(on) => done(self.queue(&on.queue)?.resume().await),
            Operation::Promote(on) => done(self.queue(&on.queue)?.promote(&on.id).await),
            Operation::RetryJob(retry) => {
                let state =
                    retry.state.as_deref().unwrap_or("failed").parse().map_err(|error: String| invalid(&error))?;
                let options = RetryOptions {
                    state: Some(state),
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
            Operation::Drain(drain) => done(self.queue(&drain.queue)?.drain(drain.delayed, ignore).await.map(drop)),
            Operation::Clean(clean) => {
                let state = clean.state.parse().map_err(|error: String| invalid(&error))?;
                let (grace, limit) = (Duration::from_millis(clean.grace), (clean.limit > 0).then_some(clean.limit));
                let ids = self.queue(&clean.queue)?.clean(grace, limit, state, ignore).await;
                done(ids.map(|mut ids| {
                    ids.sort();
                    ids
                }))
            }
            Operation::Obliterate(all) => done(self.queue(&all.queue)?.obliterate(all.force, ignore).await.map(drop)),
            Operation::RemoveOrphans(on) => done(self.queue(&on.queue)?.remove_orphans(ignore).await),
            Operation::RetryJobs(retry) => {
                let state =
                    retry.state.as_deref().unwrap_or("failed").parse().map_err(|error: String| invalid(&error))?;
                done(self.queue(&retry.queue)?.retry_jobs(state, STEP, retry.timestamp, ignore).await.map(drop))
            }
            Operation::PromoteJobs(on) => done(self.queue(&on.queue)?.promote_jobs(STEP, ignore).await.map(drop)),
            Operation::ChangeDelay(change) => {
                done(self.queue(&change.queue)?.change_delay(&change.id, change.delay).await)
            }
            Operation::ChangePriority(change) => {
                let priority = u32::try_from(change.priority).map_err(|error| invalid(&error))?;
                let priority = Priority::new(priority).map_err(|error| invalid(&error))?;
                done(self.queue(&change.queue)?.change_priority(&change.id, priority, change.lifo).await)
            }
            Operation::RemoveUnprocessedChildren(on) => {
                done(self.queue(&on.queue)?.remove_unprocessed_children(&on.id, ignore).await.map(drop))
            }
            Operation::RemoveChildDependency(on) => done(self.queue(&on.queue)?.remove_child_dependency(&on.id).await),
            Operation::RemoveDeduplicationKey(on) => {
                done(self.queue(&on.queue)?.remove_deduplication_key(&on.deduplication).await)
            }
            Operation::TrimEvents(trim) => done(self.queue(&trim.queue)?.trim_events(trim.max).await.map(drop)),
            Operation::PublishEvent(publish) => {
                let fields: Vec<(&str, &str)> =
                    publish.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let queue = self.queue(&publish.queue)?;
                done(queue.publish_event(&publish.event, &fields, publish.max_events).await.map(drop))
            }
            other => missing(other),
        }
    }
}
