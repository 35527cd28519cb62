//! Runs a claimed job with the executor of its name. Claiming and settling are the queue crate's business.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use metrics::Gauge;
use operator_core::{Failure, Json};
use operator_packs::{Context, Registry};
use operator_queue::worker::{ClaimedJob, Handler, WorkerOptions};
use operator_telemetry::names;
use tracing::Instrument;

use crate::attempt::{Attempt, RetryRules};
use crate::host::QueueHost;

/// The job types of a worker.
pub(crate) struct Jobs {
    registry: Registry,
    rules: RetryRules,
    /// Slots in use; every attempt counts itself in and out.
    used: Gauge,
}

impl Jobs {
    pub(crate) fn new(registry: Registry, options: &WorkerOptions) -> Self {
        let used = metrics::gauge!(names::WORKER_SLOTS, "state" => "used");
        used.increment(0.0);
        Self { registry, rules: RetryRules::of(options), used }
    }
}

impl Handler for Jobs {
    fn run(
        &self,
        ClaimedJob { job, hold, cancelled, watch, .. }: ClaimedJob,
    ) -> BoxFuture<'static, Result<Json, Failure>> {
        let is_provided = self.registry.names().any(|name| name == job.name);
        let label = if is_provided { &*job.name } else { "unknown" };
        let mut attempt = Attempt::begin(Arc::clone(&job), label, watch.clone(), self.rules, self.used.clone());
        let span = attempt.span();
        let host = Arc::new(QueueHost::new(hold.clone(), watch.clone()));
        let context = Context::new(job, host, cancelled).with_deadline(watch.deadline());
        let executed = self.registry.execute(context);
        let run = async move {
            let result = AssertUnwindSafe(executed).catch_unwind().await;
            attempt.end(&result, hold.has_moved());
            // The driver makes a failure of it; here it was only counted.
            result.unwrap_or_else(|panic| resume_unwind(panic))
        };
        run.instrument(span).boxed()
    }
}
