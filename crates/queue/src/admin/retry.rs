//! Running a finished job again.

use operator_core::JobState;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

/// How a finished job is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryOptions {
    /// Only if it completed, or only if it failed; otherwise however it finished.
    pub state: Option<JobState>,
    /// First in line instead of last, whatever the job's own options say. A job with a priority goes last among those of
    /// the same.
    pub lifo: bool,
    /// Count the attempts it made from zero again; otherwise a job that used them all up fails at its first error.
    pub reset_attempts_made: bool,
    /// Count the attempts it started from zero again, for workers with a limit on them.
    pub reset_attempts_started: bool,
    /// Count the workers it lost from zero again: for a job that was given up because they went silent.
    pub reset_stalled: bool,
}

impl RetryOptions {
    /// A whole new run: all attempts count from zero.
    pub const AFRESH: Self =
        Self { state: None, lifo: false, reset_attempts_made: true, reset_attempts_started: true, reset_stalled: true };
}

impl Queue {
    /// Puts a finished job back in line. A parent that had counted its outcome waits for it again.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for a state that is not a finished one; [`QueueError::Refused`] when the job does
    /// not exist or is not in that state.
    pub async fn retry(&self, id: &str, options: RetryOptions) -> Result<(), QueueError> {
        options.state.map_or(Ok(()), check_finished)?;
        let flag = |on: bool| Arg::from(if on { "1" } else { "0" });
        let args = vec![
            self.keys.prefix().into(),
            id.into(),
            flag(options.lifo),
            flag(options.reset_attempts_made),
            flag(options.reset_attempts_started),
            options.state.map_or("", JobState::as_str).into(),
            flag(options.reset_stalled),
            self.now_ms().into(),
        ];
        self.job_script(&scripts::RETRY, id, args).await.map(drop)
    }
}

/// Refuses states in which a job cannot be run again.
pub(super) fn check_finished(state: JobState) -> Result<(), QueueError> {
    if state.is_finished() {
        return Ok(());
    }
    let problem = format!("{state} jobs have not finished: give completed or failed");
    Err(QueueError::InvalidArgument { field: "state", problem })
}
