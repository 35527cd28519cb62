//! The worker's counters, one set of handles per queue so that counting costs no look-up.

use metrics::{Counter, Histogram, counter, histogram};
use operator_core::{Job, QueueName};

use crate::wire::outcome::Verdict;

/// What is counted of one queue.
pub(super) struct QueueMetrics {
    started: Counter,
    completed: Counter,
    failed: Counter,
    cancelled: Counter,
    retried: Counter,
    handed_back: Counter,
    pub(super) stalled: Counter,
    pub(super) leases_lost: Counter,
    wait_seconds: Histogram,
}

impl QueueMetrics {
    pub(super) fn new(queue: &QueueName) -> Self {
        let queue = queue.to_string();
        let counter = |name: &'static str| counter!(name, "queue" => queue.clone());
        Self {
            started: counter("operator_jobs_started_total"),
            completed: counter("operator_jobs_completed_total"),
            failed: counter("operator_jobs_failed_total"),
            cancelled: counter("operator_jobs_cancelled_total"),
            retried: counter("operator_jobs_retried_total"),
            handed_back: counter("operator_jobs_handed_back_total"),
            stalled: counter("operator_jobs_stalled_total"),
            leases_lost: counter("operator_lease_lost_total"),
            wait_seconds: histogram!("operator_job_wait_seconds", "queue" => queue),
        }
    }

    /// A job begins: it waited since it was created, or since its delay ran out.
    pub(super) fn started(&self, job: &Job, now_ms: u64) {
        self.started.increment(1);
        let due_ms = job.timestamp_ms.saturating_add(job.opts.delay_ms);
        if job.attempts_made == 0 {
            self.wait_seconds.record(seconds(now_ms.saturating_sub(due_ms)));
        }
    }

    pub(super) fn settled(&self, verdict: &Verdict) {
        match verdict {
            Verdict::Completed(_) => &self.completed,
            Verdict::Failed { .. } => &self.failed,
            Verdict::Cancelled { .. } => &self.cancelled,
            Verdict::Retried { .. } => &self.retried,
            Verdict::HandedBack | Verdict::Postponed { .. } | Verdict::Parked { .. } => &self.handed_back,
        }
        .increment(1);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a wait in milliseconds is far below the limit of exactness")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
