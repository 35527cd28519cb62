//! Deduplication ids: which job holds one, and giving one up before its time.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use crate::app::App;
use crate::input::NamedPath;
use crate::problem::{Code, Problem, ProblemDocument};

/// A deduplication id in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only describes what `input::NamedPath` reads")]
pub(crate) struct OnDeduplication {
    /// The queue's name.
    #[param(example = "default")]
    queue: String,
    /// The deduplication id.
    id: String,
}

/// A deduplication id that is held.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Held {
    /// The deduplication id.
    id: String,
    /// The job that stands for it.
    job_id: String,
}

/// The job that stands for a deduplication id.
#[utoipa::path(
    get, path = "/queues/{queue}/deduplication/{id}", tag = "jobs", params(OnDeduplication),
    responses(
        (status = 200, body = Held, description = "The job"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "deduplication_not_found"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn get(State(app): State<App>, path: NamedPath) -> Answer<Held> {
    let job_id = app.queue(path.queue.clone()).deduplication_job_id(&path.name).await?;
    let job_id = job_id.ok_or_else(|| not_held(&path))?;
    Ok(Json(Held { id: path.name, job_id }))
}

/// Gives up a deduplication id, whichever job stands for it: the next job of that id is added.
#[utoipa::path(
    delete, path = "/queues/{queue}/deduplication/{id}", tag = "jobs", params(OnDeduplication),
    responses(
        (status = 204, description = "Given up"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "deduplication_not_found"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn give_up(State(app): State<App>, path: NamedPath) -> Result<StatusCode, Problem> {
    let was_held = app.queue(path.queue.clone()).remove_deduplication_key(&path.name).await?;
    if was_held { Ok(StatusCode::NO_CONTENT) } else { Err(not_held(&path)) }
}

fn not_held(path: &NamedPath) -> Problem {
    let detail = format!("no job of queue {} stands for deduplication id {}", path.queue, path.name);
    Problem::new(Code::DeduplicationNotFound, detail)
}
