//! A job that runs without a queue, for the tests of whoever writes an executor.
//!
//! What the job reports, adds and asks for stays in memory. What a worker does around a job (retries, time limits, the
//! attempt that follows a move) is left out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use operator_core::{Callback, CallbackAnswer, Failure, Job, JobId, Json, NewJob, QueueName};
use tokio_util::sync::CancellationToken;

use crate::{Context, JobHost, Move};

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
    data: Mutex<Vec<Json>>,
    moves: Mutex<Vec<Move>>,
    children: Mutex<Vec<(QueueName, NewJob)>>,
    /// What the children returned that the test says have completed.
    values: Mutex<BTreeMap<String, Json>>,
    callback: Mutex<Option<Callback>>,
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

    /// The same job with a child that has completed, which the job need not wait for. `key` is
    /// `<prefix>:<queue>:<id>`.
    #[must_use]
    pub fn with_child_value(self, key: impl Into<String>, value: impl Into<Json>) -> Self {
        held(&self.record.values).insert(key.into(), value.into());
        self
    }

    /// What the job waits with for a service to call back, if it does.
    #[must_use]
    pub fn callback(&self) -> Option<Callback> {
        held(&self.record.callback).clone()
    }

    /// Does what a service does that calls back: the job's next context finds `answer`.
    pub fn call_back(&self, answer: CallbackAnswer) {
        if let Some(callback) = held(&self.record.callback).as_mut() {
            callback.answer = Some(answer);
        }
    }

    /// A context of the job, with the data that it was last given. All contexts of one rehearsal share its record and its cancellation.
    #[must_use]
    pub fn context(&self) -> Context {
        let data = held(&self.record.data).last().cloned();
        let job = Job { data: data.unwrap_or_else(|| self.job.data.clone()), ..self.job.clone() };
        Context::new(job, Arc::clone(&self.record) as Arc<dyn JobHost>, self.cancelled.clone())
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

    /// Every data that replaced the job's.
    #[must_use]
    pub fn data_updates(&self) -> Vec<Json> {
        held(&self.record.data).clone()
    }

    /// Where the job went by its own wish.
    #[must_use]
    pub fn moves(&self) -> Vec<Move> {
        held(&self.record.moves).clone()
    }

    /// Every child the job added, with its queue.
    #[must_use]
    pub fn children(&self) -> Vec<(QueueName, NewJob)> {
        held(&self.record.children).clone()
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

    fn update_data(&self, data: Json) -> BoxFuture<'_, Result<(), Failure>> {
        held(&self.data).push(data);
        future::ready(Ok(())).boxed()
    }

    fn leave(&self, to: Move) -> BoxFuture<'_, Result<bool, Failure>> {
        let is_through = held(&self.children).len() <= held(&self.values).len();
        let leaves = to != Move::WaitingChildren || !is_through;
        if leaves {
            held(&self.moves).push(to);
        }
        future::ready(Ok(leaves)).boxed()
    }

    fn add_child(&self, queue: QueueName, child: NewJob) -> BoxFuture<'_, Result<JobId, Failure>> {
        let mut children = held(&self.children);
        let number = children.len() + 2;
        let id = child.opts.job_id.clone().unwrap_or_else(|| JobId::from_wire(number.to_string()));
        children.push((queue, child));
        future::ready(Ok(id)).boxed()
    }

    fn children_values(&self) -> BoxFuture<'_, Result<BTreeMap<String, Json>, Failure>> {
        future::ready(Ok(held(&self.values).clone())).boxed()
    }

    fn expect_callback(&self, expires_ms: u64) -> BoxFuture<'_, Result<Callback, Failure>> {
        let new = || Callback { token: "rehearsed".to_owned(), expires_ms, answer: None };
        future::ready(Ok(held(&self.callback).get_or_insert_with(new).clone())).boxed()
    }

    fn wait_for_callback(&self, expires_ms: u64) -> BoxFuture<'_, Result<(), Failure>> {
        held(&self.moves).push(Move::At(expires_ms));
        future::ready(Ok(())).boxed()
    }

    fn traceparent(&self) -> Option<String> {
        None
    }
}

/// A panic between lock and unlock is impossible here, so a poisoned list is still whole.
fn held<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use operator_core::FailureKind;
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

    /// Adds up what its children return, in steps.
    async fn total(context: Context) -> Result<u64, Failure> {
        if context.data().as_str() == r#""begin""# {
            for number in [20, 22] {
                context.add_child("numbers", NewJob::new("number", json!(number))).await?;
            }
            context.update_data("add up").await?;
        }
        context.wait_for_children().await?;
        Ok(context.children_values::<u64>().await?.into_values().sum())
    }

    #[tokio::test]
    async fn a_job_in_steps_adds_children_waits_and_goes_on() {
        let rehearsal = Rehearsal::of("total", json!("begin"));
        assert_eq!(total(rehearsal.context()).await, Err(Failure::moved()));
        assert_eq!(rehearsal.moves(), [Move::WaitingChildren]);
        let children = rehearsal.children();
        let described: Vec<_> = children.iter().map(|(queue, job)| (queue.as_str(), job.data.as_str())).collect();
        assert_eq!(described, [("numbers", "20"), ("numbers", "22")]);
        assert_eq!(rehearsal.data_updates()[0].as_str(), r#""add up""#);

        let rehearsal = rehearsal.with_child_value("bull:numbers:2", json!(20));
        let rehearsal = rehearsal.with_child_value("bull:numbers:3", json!(22));
        assert_eq!(total(rehearsal.context()).await, Ok(42));
        assert_eq!(rehearsal.moves().len(), 1, "there was nothing left to wait for");
    }

    #[tokio::test]
    async fn a_job_that_moves_itself_returns_that_it_has_moved() {
        let rehearsal = Rehearsal::of("pack.work", json!(null));
        let context = rehearsal.context();
        let minute = Duration::from_secs(60);
        for moved in [
            context.move_to_delayed(minute).await,
            context.move_to_delayed_until(1_700_000_000_000).await,
            context.move_to_wait().await,
            context.rate_limit(minute).await,
        ] {
            assert_eq!(moved, Failure::moved());
        }
        let expected = [Move::After(minute), Move::At(1_700_000_000_000), Move::Wait, Move::RateLimited(minute)];
        assert_eq!(rehearsal.moves(), expected);
        assert!(context.wait_for_children().await.is_ok(), "there are none");
    }

    #[tokio::test]
    async fn what_cannot_be_a_child_or_its_result_fails_for_good() {
        let rehearsal = Rehearsal::of("pack.work", json!(null)).with_child_value("bull:q:1", json!("text"));
        let context = rehearsal.context();
        let failure = context.children_values::<u64>().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unrecoverable);
        assert!(failure.message.contains("bull:q:1"), "{}", failure.message);
        let failure = context.add_child("a:b", NewJob::new("x", json!(null))).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unrecoverable);
        assert!(rehearsal.children().is_empty());
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
