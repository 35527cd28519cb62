//! One attempt of a job: what is timed, counted, traced and logged of it.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::Gauge;
use operator_core::{Failure, FailureKind, Job, Json};
use operator_queue::worker::{StopCause, Watch, WorkerOptions};
use operator_telemetry::names;
use tracing::Span;

/// A running attempt. It counts as a used slot until it is dropped, which is also how a stopped one ends.
pub(crate) struct Attempt {
    job: Arc<Job>,
    /// The name in metrics: producers choose names freely, and each would be a time series for ever.
    label: String,
    watch: Watch,
    rules: RetryRules,
    used: Gauge,
    started: Instant,
    /// Its end was counted.
    has_ended: bool,
}

/// What of a worker's options decides whether another attempt follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryRules {
    has_strategy: bool,
    max_started: Option<u32>,
}

impl RetryRules {
    pub(crate) fn of(options: &WorkerOptions) -> Self {
        Self { has_strategy: options.backoff.is_some(), max_started: options.max_started_attempts }
    }
}

impl Attempt {
    pub(crate) fn begin(job: Arc<Job>, label: &str, watch: Watch, rules: RetryRules, used: Gauge) -> Self {
        used.increment(1.0);
        Self { label: label.to_owned(), job, watch, rules, used, started: Instant::now(), has_ended: false }
    }

    /// What everything logged during the attempt carries, and what a trace shows of it.
    pub(crate) fn span(&self) -> Span {
        let Job { queue, id, name, attempts_made, .. } = &*self.job;
        tracing::info_span!("run_job", %queue, job_id = %id, job_name = name, attempt = attempts_made + 1)
    }

    /// The attempt came to its own end.
    pub(crate) fn end(&mut self, result: &Result<Result<Json, Failure>, Box<dyn Any + Send>>, has_moved: bool) {
        let outcome = match result {
            // Whatever it returns has no effect any more.
            _ if has_moved => "moved",
            // Whatever it says: it ended for another reason than its own.
            _ if self.is_stopped() => return self.end_stopped(),
            Ok(Ok(_)) => "completed",
            // It is handed back, or was lost.
            _ if self.watch.cause().is_some() => return,
            Ok(Err(failure)) if failure.kind == FailureKind::Unrecoverable || self.is_listed(failure) => "failed",
            _ if self.is_retried() => "retried",
            _ => "failed",
        };
        let took = self.record(outcome);
        match result {
            _ if has_moved => tracing::debug!(?took, "moved itself"),
            Ok(Ok(_)) => tracing::debug!(?took, "completed"),
            Ok(Err(failure)) => tracing::info!(outcome, error = failure.message, ?took, "an attempt failed"),
            Err(_) => tracing::warn!(outcome, ?took, "a job panicked"),
        }
    }

    /// Whether it was told to stop by itself, not with its worker.
    fn is_stopped(&self) -> bool {
        self.watch.cause().is_some_and(|cause| cause != StopCause::GivenUp)
    }

    /// It was told to stop: how it ended is not its own doing.
    fn end_stopped(&mut self) {
        let outcome = if self.watch.cause() == Some(StopCause::Cancelled) { "cancelled" } else { "timed_out" };
        let took = self.record(outcome);
        tracing::info!(outcome, ?took, "an attempt was stopped");
    }

    fn is_listed(&self, failure: &Failure) -> bool {
        failure.code.as_ref().is_some_and(|code| self.job.opts.not_retried.contains(code))
    }

    fn record(&mut self, outcome: &'static str) -> Duration {
        self.has_ended = true;
        let took = self.started.elapsed();
        let labels =
            [("queue", self.job.queue.to_string()), ("name", self.label.clone()), ("outcome", outcome.to_owned())];
        metrics::histogram!(names::JOB_RUN, &labels).record(took);
        took
    }

    /// Whether another attempt follows a failure that allows one. A strategy of the worker's own counts as one that lets
    /// it: only the claim loop asks it, once.
    fn is_retried(&self) -> bool {
        let made = self.job.attempts_made + 1;
        let has_wait = self.job.opts.backoff.as_ref().is_none_or(|backoff| backoff.wait_ms(made, 0.0).is_some());
        let may_start = self.rules.max_started.is_none_or(|max| self.job.attempts_started < max);
        made < self.job.opts.attempts && may_start && (has_wait || self.rules.has_strategy)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.has_ended && self.is_stopped() {
            self.end_stopped();
        }
        self.used.decrement(1.0);
    }
}
