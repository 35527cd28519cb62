//! Retrying or promoting all jobs of a state.

use operator_core::JobState;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

use super::Progress;
use super::retry::check_finished;

/// The most jobs one step of [`Queue::retry_jobs`] or [`Queue::promote_jobs`] moves.
pub const MAX_STEP: u64 = 1000;

impl Queue {
    /// Puts all jobs back in line that completed or failed at `until_ms` (epoch; now when `None` or to come) or before, the oldest
    /// first, `count` at a time. Each takes the place that its priority and `lifo` give it; its attempts count on.
    /// Returns how many.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for another state, or a count that is 0 or above [`MAX_STEP`];
    /// [`QueueError::Redis`].
    pub async fn retry_jobs(
        &self,
        state: JobState,
        count: u64,
        until_ms: Option<u64>,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<u64, QueueError> {
        check_finished(state)?;
        // With a time to come it would not end as long as jobs that it put back in line fail again.
        let now = self.now_ms();
        let until = until_ms.map_or(now, |until| until.min(now));
        self.move_all(state, count, until.into(), progress).await
    }

    /// Lets all delayed jobs run now, those that are due first `count` at a time. Each takes the place that its priority
    /// and `lifo` give it. Returns how many.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for a count that is 0 or above [`MAX_STEP`]; [`QueueError::Redis`].
    pub async fn promote_jobs(&self, count: u64, progress: impl FnMut(Progress) + Send) -> Result<u64, QueueError> {
        self.move_all(JobState::Delayed, count, "+inf".into(), progress).await
    }

    async fn move_all(
        &self,
        from: JobState,
        count: u64,
        highest: Arg,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<u64, QueueError> {
        if !(1..=MAX_STEP).contains(&count) {
            let problem = format!("{count} is not from 1 to {MAX_STEP}: it is how many jobs one step moves, not all");
            return Err(QueueError::InvalidArgument { field: "count", problem });
        }
        let mut jobs = 0;
        loop {
            let args = vec![
                self.keys.prefix().into(),
                from.as_str().into(),
                highest.clone(),
                count.into(),
                self.now_ms().into(),
            ];
            let moved = self.script(&scripts::BULK, None, args).await?.count();
            jobs += moved;
            let done = moved < count;
            progress(Progress { jobs, done });
            if done {
                return Ok(jobs);
            }
        }
    }
}
