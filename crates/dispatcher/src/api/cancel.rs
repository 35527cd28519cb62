//! Cancelling a job, in its queue or by its id alone.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use operator_core::{JobState, JobStatus};
use operator_queue::{CancelOptions, CancelStage, Queue, QueueError, Refusal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::by_id;
use crate::app::App;
use crate::input::{JobPath, OptionalJson};
use crate::openapi::{BodyProblems, ChangeProblems, OnJob};
use crate::problem::{Code, Problem, ProblemDocument};

/// Why a job is cancelled, and what goes with it. May be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Cancel)]
pub(crate) struct CancelBody {
    /// For people: it stands in the job's `error`, after `cancelled: `. Up to 1000 bytes.
    #[schema(example = "no longer wanted")]
    reason: String,
    /// The jobs below it that have not ended go with it.
    children: bool,
}

/// What became of the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cancelled)]
pub(crate) struct CancelView {
    /// The job.
    id: String,
    /// Its queue.
    #[schema(example = "default")]
    queue: String,
    /// failed when it has ended, active when it still runs.
    #[schema(example = "failed")]
    state: &'static str,
    /// cancelled when it has ended, active when it still runs.
    #[schema(example = "cancelled")]
    status: &'static str,
    /// Whether a job that runs was told to stop: one on a worker of BullMQ cannot be, but is not run again.
    stoppable: bool,
    /// How many jobs below it were cancelled or told to stop.
    children: u64,
}

/// Cancels a job: one that does not run ends at once, one that runs is told to stop. It is never run again.
#[utoipa::path(
    post, path = "/queues/{queue}/jobs/{id}/cancel", tag = "jobs", params(OnJob), request_body = CancelBody,
    responses(
        ChangeProblems, BodyProblems, (status = 200, body = CancelView, description = "Cancelled"),
        (status = 202, body = CancelView, description = "It runs, and ends as cancelled")
    )
)]
pub(crate) async fn in_queue(
    State(app): State<App>,
    path: JobPath,
    OptionalJson(wanted): OptionalJson<CancelBody>,
) -> Result<Response, Problem> {
    cancel(&app.queue(path.queue), &path.id, &wanted).await
}

/// Cancels a job by its id alone. When jobs of several queues have the id, it is that of the first queue by name.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    request_body = CancelBody,
    responses(
        BodyProblems, (status = 200, body = CancelView, description = "Cancelled"),
        (status = 202, body = CancelView, description = "It runs, and ends as cancelled"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "job_not_found"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_state: it has finished"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, database_unavailable"),
    )
)]
pub(crate) async fn by_id(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    OptionalJson(wanted): OptionalJson<CancelBody>,
) -> Result<Response, Problem> {
    let id = by_id::text(id)?;
    if let Some(queue) = by_id::live(&app, &id).await? {
        return cancel(&queue, &id, &wanted).await;
    }
    app.store().record(&id).await?.ok_or_else(|| Problem::no_job(&id))?;
    Err(has_finished(&id))
}

async fn cancel(queue: &Queue, id: &str, wanted: &CancelBody) -> Result<Response, Problem> {
    let options = CancelOptions { children: wanted.children };
    let done = match queue.cancel(id, &wanted.reason, options).await {
        Err(QueueError::Refused { refusal: Refusal::WrongState, .. }) => return Err(has_finished(id)),
        done => done?,
    };
    let (code, state, status) = match done.stage {
        CancelStage::Ended => (StatusCode::OK, JobState::Failed, JobStatus::Cancelled),
        CancelStage::Stopping | CancelStage::Marked => (StatusCode::ACCEPTED, JobState::Active, JobStatus::Active),
    };
    let view = CancelView {
        id: id.to_owned(),
        queue: queue.name().to_string(),
        state: state.as_str(),
        status: status.as_str(),
        stoppable: done.stage != CancelStage::Marked,
        children: done.children,
    };
    Ok((code, Json(view)).into_response())
}

fn has_finished(id: &str) -> Problem {
    Problem::new(Code::JobState, format!("job {id} has finished already"))
}
