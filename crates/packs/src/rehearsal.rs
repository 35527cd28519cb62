//! A job that runs without a queue, for the tests of whoever writes an executor.
//!
//! Progress and log lines stay in memory. What a worker does around a job (retries, time limits) is left out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use operator_core::{Failure, Job, JobId, Json, QueueName};
use tokio_util::sync::CancellationToken;

use crate::{Context, JobHost};

/// A job that runs without a queue and records what it reports.
///
/// ```
/// # use operator_core::Json;
/// # use operator_packs::{Registry, Rehearsal};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut registry = Registry::default();
/// registry.register("double", async |number: u32, context| {
///     context.log("doubling").await?;
///     Ok(number * 2)
/// });
/// let rehearsal = Rehearsal::of("double", serde_json::json!(21));
/// let result = registry.execute(rehearsal.context()).await;
/// assert_eq!(result.unwrap().as_str(), "42");
/// assert_eq!(rehearsal.logs(), ["doubling"]);
/// # });
/// ```
pub struct Rehearsal {
    job: Job,
    record: Arc<Record>,
    cancelled: CancellationToken,
}

/// What the job reported. Written by its contexts, read by the test.
#[derive(Default)]
struct Record {
    progress: Mutex<Vec<Json>>,
    logs: Mutex<Vec<String>>,
}

impl Rehearsal {
    /// The first and only attempt of a job called `name` that works on `data`, id `1` in the queue `rehearsal`.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the queue's name is a constant")]
    pub fn of(name: &str, data: impl Into<Json>) -> Self {
        let queue = QueueName::new("rehearsal").expect("a plain word is a queue name");
        let job = Job {
            name: name.to_owned(),
            data: data.into(),
            attempts_started: 1,
            ..Job::blank(queue, JobId::from_wire("1"))
        };
        Self { job, record: Arc::default(), cancelled: CancellationToken::new() }
    }

    /// The same job after `attempts_made` attempts, of `max_attempts`.
    #[must_use]
    pub fn after_attempts(mut self, attempts_made: u32, max_attempts: u32) -> Self {
        self.job.attempts_made = attempts_made;
        self.job.attempts_started = attempts_made.saturating_add(1);
        self.job.opts.attempts = max_attempts;
        self
    }

    /// A context of the job. All contexts of one rehearsal share its record and its cancellation.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new(self.job.clone(), Arc::clone(&self.record) as Arc<dyn JobHost>, self.cancelled.clone())
    }

    /// Does what a worker does when it gives the job up.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Every progress reported so far.
    #[must_use]
    pub fn progress(&self) -> Vec<Json> {
        held(&self.record.progress).clone()
    }

    /// Every line logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        held(&self.record.logs).clone()
    }
}

impl JobHost for Record {
    fn update_progress(&self, progress: Json) -> BoxFuture<'_, Result<(), Failure>> {
        held(&self.progress).push(progress);
        future::ready(Ok(())).boxed()
    }

    fn log(&self, line: String) -> BoxFuture<'_, Result<(), Failure>> {
        held(&self.logs).push(line);
        future::ready(Ok(())).boxed()
    }
}

/// A panic between lock and unlock is impossible here, so a poisoned list is still whole.
fn held<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_context_tells_the_job_about_itself() {
        let context = Rehearsal::of("pack.work", json!([1])).after_attempts(2, 5).context();
        assert_eq!((context.queue(), context.job_id(), context.name()), ("rehearsal", "1", "pack.work"));
        assert_eq!((context.attempt(), context.attempts_made(), context.max_attempts()), (3, 2, 5));
        assert_eq!((context.data().as_str(), context.timestamp_ms()), ("[1]", 0));
        assert_eq!(Rehearsal::of("pack.work", json!(null)).context().max_attempts(), 1);
    }

    #[tokio::test]
    async fn what_a_job_reports_is_recorded_in_order() {
        let rehearsal = Rehearsal::of("pack.work", json!(null));
        let context = rehearsal.context();
        context.progress(10).await.unwrap();
        context.clone().progress(json!({"step": "upload"})).await.unwrap();
        context.log("first").await.unwrap();
        context.log("second").await.unwrap();
        let progress: Vec<_> = rehearsal.progress().iter().map(|json| json.as_str().to_owned()).collect();
        assert_eq!(progress, ["10", r#"{"step":"upload"}"#]);
        assert_eq!(rehearsal.logs(), ["first", "second"]);
    }

    #[test]
    fn a_cancelled_rehearsal_cancels_its_contexts() {
        let rehearsal = Rehearsal::of("pack.work", json!(null));
        let context = rehearsal.context();
        assert!(!context.cancelled().is_cancelled());
        rehearsal.cancel();
        assert!(context.cancelled().is_cancelled());
    }
}
