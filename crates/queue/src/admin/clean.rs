//! Throwing away the jobs that wait, or those of one state that have become old.

use std::time::Duration;

use operator_core::JobState;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Arg, Reply};
use crate::scripts;

use super::{Progress, STEP};

/// One way through the jobs of one state.
#[derive(Clone, Copy)]
pub(super) struct Sweep {
    /// The state, as its key is called.
    pub(super) state: &'static str,
    /// Only jobs of this time or older go, and no locked ones.
    pub(super) newest_ms: Option<u64>,
    /// The pending iterations of schedulers stay.
    pub(super) spares_iterations: bool,
    /// `cleaned` is written: after the first step in any case, or only when a job was removed.
    pub(super) event: CleanedEvent,
}

/// When `cleaned` is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CleanedEvent {
    Never,
    First,
    IfRemoved,
}

impl CleanedEvent {
    fn arg(self) -> Arg {
        match self {
            Self::Never => "0".into(),
            Self::First => "1".into(),
            Self::IfRemoved => "2".into(),
        }
    }
}

impl Queue {
    /// Removes all jobs that wait, and with `delayed` those that are not due yet; the pending iterations of schedulers
    /// stay. Jobs that run are not touched. A parent of this queue that waited for removed jobs only is removed like
    /// them, one of another queue goes back in line there. Jobs added meanwhile stay. Returns how many were removed.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn drain(&self, delayed: bool, mut progress: impl FnMut(Progress) + Send) -> Result<u64, QueueError> {
        let mut jobs = 0;
        let states = ["wait", "paused", "delayed", "prioritized"];
        for state in states.into_iter().filter(|state| delayed || *state != "delayed") {
            let sweep = Sweep { state, newest_ms: None, spares_iterations: true, event: CleanedEvent::Never };
            self.sweep(sweep, None, |removed| {
                jobs += removed.len() as u64;
                progress(Progress { jobs, done: false });
            })
            .await?;
        }
        progress(Progress { jobs, done: true });
        Ok(jobs)
    }

    /// Removes the jobs of one state that are older than `grace`: that finished, entered the state or were created so
    /// long ago, whichever the state knows. Looks at the oldest `limit` of them, or at all. Jobs that a worker holds and
    /// the pending iterations of schedulers stay; parents are dealt with as [`Queue::drain`] does it. Returns the ids.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for the state unknown and for a limit of 0; [`QueueError::Redis`].
    pub async fn clean(
        &self,
        grace: Duration,
        limit: Option<u64>,
        state: JobState,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Vec<String>, QueueError> {
        let mut ids = Vec::new();
        self.clean_each(grace, limit, state, |removed| ids.extend(removed), progress).await?;
        Ok(ids)
    }

    /// The same, and returns how many: of many millions of jobs the ids are not worth their memory.
    ///
    /// # Errors
    /// As [`Queue::clean`].
    pub async fn clean_uncollected(
        &self,
        grace: Duration,
        limit: Option<u64>,
        state: JobState,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<u64, QueueError> {
        self.clean_each(grace, limit, state, drop, progress).await
    }

    async fn clean_each(
        &self,
        grace: Duration,
        limit: Option<u64>,
        state: JobState,
        mut removed: impl FnMut(Vec<String>) + Send,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<u64, QueueError> {
        let keys = keys_of(state)?;
        if limit == Some(0) {
            let problem = "0 jobs cannot be cleaned: give at least 1, or no limit for all".to_owned();
            return Err(QueueError::InvalidArgument { field: "limit", problem });
        }
        let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let newest_ms = Some(self.now_ms().saturating_sub(grace));
        let mut jobs = 0;
        for (position, state) in keys.iter().copied().enumerate() {
            let left = limit.map(|limit| limit.saturating_sub(jobs));
            let event = if position == 0 { CleanedEvent::First } else { CleanedEvent::IfRemoved };
            let sweep = Sweep { state, newest_ms, spares_iterations: true, event };
            self.sweep(sweep, left, |ids| {
                jobs += ids.len() as u64;
                removed(ids);
                progress(Progress { jobs, done: false });
            })
            .await?;
        }
        progress(Progress { jobs, done: true });
        Ok(jobs)
    }

    /// Goes through the jobs that are in the state now, at most `limit` of them, and hands over the removed of each step.
    pub(super) async fn sweep(
        &self,
        mut sweep: Sweep,
        limit: Option<u64>,
        mut removed: impl FnMut(Vec<String>) + Send,
    ) -> Result<(), QueueError> {
        let (mut passed, mut left) = (0, limit.unwrap_or(u64::MAX));
        while left > 0 {
            let step = self.sweep_step(sweep, passed, left.min(STEP)).await?;
            // Known from the first step on: what is added meanwhile is none of this sweep's business.
            left = left.min(step.size).saturating_sub(step.looked_at);
            passed += step.looked_at - step.removed.len() as u64;
            let is_short = step.looked_at < STEP;
            removed(step.removed);
            if is_short {
                break;
            }
            if sweep.event == CleanedEvent::First {
                sweep.event = CleanedEvent::IfRemoved;
            }
        }
        Ok(())
    }

    async fn sweep_step(&self, sweep: Sweep, passed: u64, count: u64) -> Result<Step, QueueError> {
        let args = vec![
            self.keys.prefix().into(),
            sweep.state.into(),
            passed.into(),
            count.into(),
            sweep.newest_ms.map_or_else(|| "".into(), Arg::from),
            if sweep.spares_iterations { "1".into() } else { "0".into() },
            sweep.event.arg(),
        ];
        let answer = self.script(&scripts::SWEEP, None, args).await?.into_list();
        let [size, looked_at, removed] = <[Reply; 3]>::try_from(answer).map_err(|_| {
            let problem = "it is not three values".to_owned();
            QueueError::Corrupt { what: "the answer of sweep".to_owned(), problem }
        })?;
        Ok(Step { size: size.count(), looked_at: looked_at.count(), removed: removed.into_texts() })
    }
}

/// What one step found.
struct Step {
    size: u64,
    looked_at: u64,
    removed: Vec<String>,
}

/// The keys of a state's jobs. Jobs that BullMQ 5 parked while the queue was paused are waiting, too.
fn keys_of(state: JobState) -> Result<&'static [&'static str], QueueError> {
    Ok(match state {
        JobState::Waiting => &["wait", "paused"],
        JobState::Active => &["active"],
        JobState::Prioritized => &["prioritized"],
        JobState::Delayed => &["delayed"],
        JobState::Completed => &["completed"],
        JobState::Failed => &["failed"],
        JobState::WaitingChildren => &["waiting-children"],
        JobState::Unknown => {
            let problem = "the queue does not keep jobs of unknown state: give one of the others".to_owned();
            return Err(QueueError::InvalidArgument { field: "state", problem });
        }
    })
}
