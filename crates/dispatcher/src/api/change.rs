//! Changing one job by hand: its delay, priority, data and log, and what it is to its parent.

use axum::extract::State;
use axum::http::StatusCode;
use operator_core::Priority;
use operator_queue::{QueueError, Refusal};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::input::{AnyJson, JobPath, JsonBody, Params};
use crate::openapi::{BodyProblems, ChangeProblems, JobProblems, OnJob, ParamProblems};
use crate::problem::{Code, Problem, ProblemDocument};

/// Another delay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    /// Milliseconds from now, up to 100 years.
    #[schema(example = 60_000)]
    delay: u64,
}

/// Another priority.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPriority)]
pub(crate) struct PriorityBody {
    /// 0 (none), 1 (first) to 2097151 (last), or critical, high, normal, low.
    #[schema(value_type = Value, example = "high")]
    priority: Priority,
    /// Before the others of that priority instead of after them.
    #[serde(default)]
    lifo: bool,
}

/// What stays of a log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeepParams {
    /// How many of the newest lines stay; none unless given.
    #[param(value_type = Option<u32>)]
    keep: Option<String>,
}

/// Gives a delayed job another delay, which counts from now.
#[utoipa::path(
    put, path = "/queues/{queue}/jobs/{id}/delay", tag = "jobs", params(OnJob), request_body = Delay,
    responses(ChangeProblems, BodyProblems, (status = 204, description = "Changed"))
)]
pub(crate) async fn delay(
    State(app): State<App>,
    path: JobPath,
    JsonBody(wanted): JsonBody<Delay>,
) -> Result<StatusCode, Problem> {
    match app.queue(path.queue).change_delay(&path.id, wanted.delay).await {
        // There are no options here that could be at fault.
        Err(QueueError::InvalidOptions(error)) => Err(Problem::parameter("delay", error)),
        done => done.map(|()| StatusCode::NO_CONTENT).map_err(Problem::from),
    }
}

/// Gives a job another priority, and the place in line that goes with it.
#[utoipa::path(
    put, path = "/queues/{queue}/jobs/{id}/priority", tag = "jobs", params(OnJob), request_body = PriorityBody,
    responses(ChangeProblems, BodyProblems, (status = 204, description = "Changed"))
)]
pub(crate) async fn priority(
    State(app): State<App>,
    path: JobPath,
    JsonBody(wanted): JsonBody<PriorityBody>,
) -> Result<StatusCode, Problem> {
    app.queue(path.queue).change_priority(&path.id, wanted.priority, wanted.lifo).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a job other data: the body, any JSON. A worker that runs it already keeps what it was given.
#[utoipa::path(
    put, path = "/queues/{queue}/jobs/{id}/data", tag = "jobs", params(OnJob),
    request_body(content = Value, content_type = "application/json"),
    responses(ChangeProblems, BodyProblems, (status = 204, description = "Changed"))
)]
pub(crate) async fn data(State(app): State<App>, path: JobPath, AnyJson(data): AnyJson) -> Result<StatusCode, Problem> {
    app.queue(path.queue).update_data(&path.id, &data).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Empties a job's log.
#[utoipa::path(
    delete, path = "/queues/{queue}/jobs/{id}/logs", tag = "jobs", params(OnJob, KeepParams),
    responses(JobProblems, ParamProblems, (status = 204, description = "Emptied"))
)]
pub(crate) async fn clear_logs(
    State(app): State<App>,
    path: JobPath,
    Params(params): Params<KeepParams>,
) -> Result<StatusCode, Problem> {
    let keep = params.keep.as_deref().map_or(Ok(0), |text| {
        text.parse().map_err(|_| Problem::parameter("keep", format!("`{text}` is not a number of lines")))
    })?;
    let queue = app.queue(path.queue);
    if queue.job(&path.id).await?.is_none() {
        return Err(Problem::no_job(&path.id));
    }
    queue.clear_logs(&path.id, keep).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends what a job is to its parent, which no longer waits for it.
#[utoipa::path(
    delete, path = "/queues/{queue}/jobs/{id}/parent", tag = "flows", params(OnJob),
    responses(
        JobProblems, (status = 204, description = "Its parent does not wait for it"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_state: it has no parent"),
    )
)]
pub(crate) async fn leave_parent(State(app): State<App>, path: JobPath) -> Result<StatusCode, Problem> {
    match app.queue(path.queue).remove_child_dependency(&path.id).await {
        Err(QueueError::Refused { refusal: Refusal::ParentMissing, .. }) => {
            Err(Problem::new(Code::JobState, format!("job {} has no parent, or it is gone", path.id)))
        }
        done => done.map(|_| StatusCode::NO_CONTENT).map_err(Problem::from),
    }
}
