//! Operations on all jobs of a queue, in steps that let others at Redis in between; `progress` tells how far they are.
//!
//! Those that are POSTs want a JSON body, be it `{}`.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::Response;
use operator_core::JobState;
use operator_core::time::parse_iso;
use operator_queue::MAX_STEP;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::progress::{ProgressView, told};
use super::{Answer, queues};
use crate::app::App;
use crate::edge::RequestId;
use crate::input::{JobPath, JsonBody, Params, QueuePath};
use crate::openapi::{BodyProblems, InQueue, JobProblems, OnJob, ParamProblems, QueueProblems};
use crate::problem::{Problem, ProblemDocument};

/// What is drained.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Drain {
    /// Delayed jobs, too.
    delayed: bool,
}

/// What is cleaned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clean {
    /// The state of the jobs, `completed` unless given.
    #[serde(default = "completed")]
    #[schema(value_type = Option<String>, example = "completed")]
    state: JobState,
    /// Only jobs that entered the state, or were added, this many milliseconds ago or earlier.
    #[schema(example = 86_400_000)]
    grace: u64,
    /// At most this many; all unless given.
    #[serde(default)]
    #[schema(minimum = 1)]
    limit: Option<u64>,
}

/// What is retried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryAll {
    /// `failed` unless `completed` is given.
    #[serde(default = "failed")]
    #[schema(value_type = Option<String>, example = "failed")]
    state: JobState,
    /// Only jobs that finished then or before: ISO 8601 or epoch milliseconds; now unless given.
    #[schema(value_type = Option<Value>, example = "2030-01-31T09:00:00Z")]
    before: Option<Value>,
}

/// Nothing to choose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// How many events stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TrimEvents {
    /// About how many; Redis removes whole blocks.
    #[schema(example = 1000)]
    max_length: u64,
}

/// How many events went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trimmed {
    removed: u64,
}

/// Whether a queue is really to be ended.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ObliterateParams {
    /// The queue's name once more; needed.
    #[param(value_type = String, required = true)]
    confirm: Option<String>,
    /// Although jobs run.
    force: bool,
}

fn completed() -> JobState {
    JobState::Completed
}

fn failed() -> JobState {
    JobState::Failed
}

/// Removes all jobs of a queue that wait, and on demand those that are not due yet. Jobs that run, and the pending jobs
/// of schedulers, stay.
#[utoipa::path(
    post, path = "/queues/{queue}/drain", tag = "maintenance", params(InQueue), request_body = Drain,
    responses(QueueProblems, BodyProblems, (status = 200, body = ProgressView, content_type = "application/x-ndjson", description = "The jobs removed so far, line by line"))
)]
pub(crate) async fn drain(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    request_id: Extension<RequestId>,
    JsonBody(wanted): JsonBody<Drain>,
) -> Result<Response, Problem> {
    let queue = queues::existing(&app, name).await?;
    told(&app, request_id, |report| async move { queue.drain(wanted.delayed, |p| report.note(p)).await }).await
}

/// Removes the jobs of one state that have become old. Jobs that a worker holds, and the pending jobs of schedulers, stay.
#[utoipa::path(
    post, path = "/queues/{queue}/clean", tag = "maintenance", params(InQueue), request_body = Clean,
    responses(QueueProblems, BodyProblems, (status = 200, body = ProgressView, content_type = "application/x-ndjson", description = "The jobs removed so far, line by line"))
)]
pub(crate) async fn clean(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    request_id: Extension<RequestId>,
    JsonBody(wanted): JsonBody<Clean>,
) -> Result<Response, Problem> {
    let queue = queues::existing(&app, name).await?;
    let Clean { state, grace, limit } = wanted;
    told(&app, request_id, |report| async move {
        queue.clean_uncollected(Duration::from_millis(grace), limit, state, |p| report.note(p)).await
    })
    .await
}

/// Ends a queue with everything in it: jobs, schedulers, settings, events, and results that history does not have yet.
/// It is paused first, and stays so when jobs run and `force` is not given.
#[utoipa::path(
    delete, path = "/queues/{queue}", tag = "maintenance", params(InQueue, ObliterateParams),
    responses(
        QueueProblems, ParamProblems,
        (status = 200, body = ProgressView, content_type = "application/x-ndjson", description = "The jobs removed so far, line by line"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_held: jobs run; job_state: somebody resumed it"),
    )
)]
pub(crate) async fn obliterate(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    request_id: Extension<RequestId>,
    Params(params): Params<ObliterateParams>,
) -> Result<Response, Problem> {
    if params.confirm.as_deref() != Some(name.as_str()) {
        let message = "it must be the queue's name: everything in the queue will be gone";
        return Err(Problem::parameter("confirm", message));
    }
    let queue = queues::existing(&app, name).await?;
    told(&app, request_id, |report| async move { queue.obliterate(params.force, |p| report.note(p)).await }).await
}

/// Removes jobs that their queue has lost: that are in none of its lists. Looks through all keys of the server.
#[utoipa::path(
    post, path = "/queues/{queue}/remove-orphans", tag = "maintenance", params(InQueue), request_body = Nothing,
    responses(QueueProblems, BodyProblems, (status = 200, body = ProgressView, content_type = "application/x-ndjson", description = "The jobs removed so far, line by line"))
)]
pub(crate) async fn remove_orphans(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    request_id: Extension<RequestId>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Response, Problem> {
    let queue = queues::existing(&app, name).await?;
    told(&app, request_id, |report| async move { queue.remove_orphans(|p| report.note(p)).await }).await
}

/// Puts all failed (or completed) jobs back in line, the oldest first. Their attempts count on.
#[utoipa::path(
    post, path = "/queues/{queue}/retry-all", tag = "maintenance", params(InQueue), request_body = RetryAll,
    responses(QueueProblems, BodyProblems, (status = 200, body = ProgressView, content_type = "application/x-ndjson", description = "The jobs in line again so far, line by line"))
)]
pub(crate) async fn retry_all(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    request_id: Extension<RequestId>,
    JsonBody(wanted): JsonBody<RetryAll>,
) -> Result<Response, Problem> {
    let until_ms = wanted.before.as_ref().map(moment).transpose()?;
    let queue = queues::existing(&app, name).await?;
    told(&app, request_id, move |report| async move {
        queue.retry_jobs(wanted.state, MAX_STEP, until_ms, |p| report.note(p)).await
    })
    .await
}

/// Lets all delayed jobs run now, those that are due first before the others.
#[utoipa::path(
    post, path = "/queues/{queue}/promote-all", tag = "maintenance", params(InQueue), request_body = Nothing,
    responses(QueueProblems, BodyProblems, (status = 200, body = ProgressView, content_type = "application/x-ndjson", description = "The jobs in line so far, line by line"))
)]
pub(crate) async fn promote_all(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    request_id: Extension<RequestId>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Response, Problem> {
    let queue = queues::existing(&app, name).await?;
    told(&app, request_id, |report| async move { queue.promote_jobs(MAX_STEP, |p| report.note(p)).await }).await
}

/// Removes the oldest events of a queue.
#[utoipa::path(
    post, path = "/queues/{queue}/trim-events", tag = "maintenance", params(InQueue), request_body = TrimEvents,
    responses(QueueProblems, BodyProblems, (status = 200, body = Trimmed, description = "How many went"))
)]
pub(crate) async fn trim_events(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    JsonBody(wanted): JsonBody<TrimEvents>,
) -> Answer<Trimmed> {
    let queue = queues::existing(&app, name).await?;
    Ok(Json(Trimmed { removed: queue.trim_events(wanted.max_length).await? }))
}

/// Removes the children that a job still waits for, with all below them. Those that a worker holds stay.
#[utoipa::path(
    delete, path = "/queues/{queue}/jobs/{id}/dependencies", tag = "maintenance", params(OnJob),
    responses(JobProblems, (status = 200, body = ProgressView, content_type = "application/x-ndjson", description = "The jobs removed so far, line by line"))
)]
pub(crate) async fn remove_dependencies(
    State(app): State<App>,
    path: JobPath,
    request_id: Extension<RequestId>,
) -> Result<Response, Problem> {
    let queue = app.queue(path.queue);
    if queue.job(&path.id).await?.is_none() {
        return Err(Problem::no_job(&path.id));
    }
    told(
        &app,
        request_id,
        |report| async move { queue.remove_unprocessed_children(&path.id, |p| report.note(p)).await },
    )
    .await
}

fn moment(value: &Value) -> Result<u64, Problem> {
    let read = value.as_u64().or_else(|| value.as_str().and_then(parse_iso));
    read.ok_or_else(|| {
        let message = format!("`{value}` is not a time: give epoch milliseconds, or one such as 2030-01-31T09:00:00Z");
        Problem::parameter("before", message)
    })
}
