//! Adding jobs.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use operator_core::JobId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{address, segment};
use crate::app::App;
use crate::catalogue::admit;
use crate::input::{Body, JobOrJobs, QueuePath, jobs};
use crate::problem::{Problem, ProblemDocument};

/// The ids of added jobs, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Added {
    /// One per job: its id, or the id of the job that stands for it, because its own id was already in the queue or
    /// another job holds its deduplication id.
    ids: Vec<JobIdText>,
    /// The positions, from 0, of the jobs that were not added because another stands for them; absent when all are new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    existing: Vec<usize>,
    /// The names that no worker of ours ever provided; absent when there are none, or when OPERATOR_UNKNOWN_JOBS is not
    /// `warn`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(as = JobId, value_type = String, example = "019a5b6e-7b5a-7000-8000-000000000000")]
struct JobIdText(JobId);

/// Adds one job, or a list of jobs, to a queue. The queue comes into being with its first job.
#[utoipa::path(
    post, path = "/queues/{queue}/jobs", tag = "jobs",
    params(("queue" = String, Path, description = "The queue's name")),
    request_body(content = JobOrJobs, content_type = "application/json"),
    responses(
        (status = 202, body = Added, description = "Accepted: stored in Redis", headers(
            ("Location" = String, description = "The job, when one was sent"))),
        (status = 400, body = ProblemDocument, content_type = "application/problem+json", description = "invalid_json, invalid_request"),
        (status = 413, body = ProblemDocument, content_type = "application/problem+json", description = "body_too_large, data_too_large, too_many_jobs"),
        (status = 415, body = ProblemDocument, content_type = "application/problem+json", description = "not_json"),
        (status = 422, body = ProblemDocument, content_type = "application/problem+json", description = "invalid_job"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_state: its id is that of a job with another parent"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, redis_full"),
    )
)]
pub(crate) async fn add(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    OriginalUri(uri): OriginalUri,
    Body(body): Body,
) -> Result<Response, Problem> {
    let mut list = jobs(&body, app.settings())?;
    let unknown = admit(&app, list.candidates()).await?;
    let queue = app.queue(name);
    if !list.jobs.is_empty() {
        app.register(&queue).await?;
    }
    let added = queue.add_each(list.jobs).await?;
    let first = added.first().filter(|_| !list.is_list);
    let location = first.map(|added| format!("{}/{}", uri.path(), segment(added.id.as_str())));
    let existing = added.iter().enumerate().filter(|(_, added)| !added.is_new).map(|(position, _)| position).collect();
    let body = Json(Added { ids: added.into_iter().map(|added| JobIdText(added.id)).collect(), existing, unknown });
    Ok(match location {
        Some(location) => (StatusCode::ACCEPTED, [(header::LOCATION, address(&location))], body).into_response(),
        None => (StatusCode::ACCEPTED, body).into_response(),
    })
}
