//! What bounds a running attempt in time, and how it is told to stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use operator_core::{Failure, Job};
use tokio_util::sync::CancellationToken;

use super::options::WorkerOptions;

/// Why an attempt is told to stop before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// Its worker hands the job back, or lost it: what it still does is in vain.
    GivenUp,
    /// Somebody cancelled the job.
    Cancelled,
    /// It ran for longer than it may.
    TimedOut,
    /// It gave no sign of life for too long.
    Silent,
}

impl StopCause {
    /// The code of the failure that follows, for a job's `notRetried`.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::TimedOut => Some("timeout"),
            Self::Silent => Some("heartbeat_timeout"),
            Self::GivenUp | Self::Cancelled => None,
        }
    }
}

/// A running attempt as its worker watches it. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

struct Shared {
    started: Instant,
    timeout: Option<Duration>,
    heartbeat_timeout: Option<Duration>,
    /// Milliseconds from `started` to the last sign of life: written by the job, read by its worker.
    last_beat_ms: AtomicU64,
    /// The first cause stays.
    stopped: OnceLock<(StopCause, Instant)>,
    /// What the job listens to.
    told: CancellationToken,
    /// Ends the attempt wherever it stands.
    dropped: CancellationToken,
}

impl Watch {
    /// A watch over an attempt of `job` that begins now.
    pub(super) fn begin(job: &Job, default_timeout: Option<Duration>) -> Self {
        Self(Arc::new(Shared {
            started: Instant::now(),
            timeout: job.opts.timeout_ms.map(Duration::from_millis).or(default_timeout),
            heartbeat_timeout: job.opts.heartbeat_timeout_ms.map(Duration::from_millis),
            last_beat_ms: AtomicU64::new(0),
            stopped: OnceLock::new(),
            told: CancellationToken::new(),
            dropped: CancellationToken::new(),
        }))
    }

    /// When the attempt must have ended, if it must.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.timeout.and_then(|timeout| self.0.started.checked_add(timeout))
    }

    /// A sign of life.
    pub fn beat(&self) {
        let since = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_beat_ms.fetch_max(since, Ordering::Relaxed);
    }

    /// Why the attempt was told to stop, if it was.
    #[must_use]
    pub fn cause(&self) -> Option<StopCause> {
        self.0.stopped.get().map(|(cause, _)| *cause)
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.0.told
    }

    /// Tells the job to stop. One that was given up is dropped at once, others are left a while to comply.
    pub(super) fn stop(&self, cause: StopCause) {
        let _ = self.0.stopped.set((cause, Instant::now()));
        if cause == StopCause::GivenUp {
            self.0.dropped.cancel();
        }
        self.0.told.cancel();
    }

    pub(super) async fn dropped(&self) {
        self.0.dropped.cancelled().await;
    }

    /// Waits for a limit to be passed, tells the job, and says which it was.
    pub(super) async fn broken(&self) -> StopCause {
        loop {
            let silent_at = self.silent_at();
            let Some(next) = self.deadline().into_iter().chain(silent_at).min() else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(next.into()).await;
            if let Some(cause) = self.passed(Instant::now()) {
                self.stop(cause);
                return cause;
            }
        }
    }

    /// The limit that was passed by `now`.
    pub(super) fn passed(&self, now: Instant) -> Option<StopCause> {
        let is_over = |limit: Option<Instant>| limit.is_some_and(|limit| now >= limit);
        if is_over(self.deadline()) {
            return Some(StopCause::TimedOut);
        }
        is_over(self.silent_at()).then_some(StopCause::Silent)
    }

    /// Whether the attempt should have stopped `grace` ago and has not: it does not let go of its thread.
    pub(super) fn is_overdue(&self, grace: Duration) -> bool {
        let told_at = self.0.stopped.get().filter(|(cause, _)| *cause != StopCause::GivenUp).map(|(_, at)| *at);
        let ends = told_at.into_iter().chain(self.deadline()).chain(self.silent_at());
        ends.min().is_some_and(|end| end.elapsed() > grace)
    }

    /// The failure of an attempt that passed a limit.
    pub(super) fn failure(&self, cause: StopCause) -> Failure {
        let ms = |limit: Option<Duration>| limit.unwrap_or_default().as_millis();
        let message = match cause {
            StopCause::Silent => format!("gave no sign of life for {} ms", ms(self.0.heartbeat_timeout)),
            _ => format!("timed out after {} ms", ms(self.0.timeout)),
        };
        let failure = Failure::retryable(message);
        cause.code().map_or(failure.clone(), |code| failure.with_code(code))
    }

    fn silent_at(&self) -> Option<Instant> {
        let last = Duration::from_millis(self.0.last_beat_ms.load(Ordering::Relaxed));
        self.0.heartbeat_timeout.and_then(|timeout| (self.0.started + last).checked_add(timeout))
    }
}

/// What a worker's options say of attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Duration,
}

impl Patience {
    pub(super) fn of(options: &WorkerOptions) -> Self {
        Self { timeout: options.timeout, grace: options.cancel_grace }
    }
}
