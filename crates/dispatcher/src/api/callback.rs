//! Where services call back that took a job over. The token in the address stands for a key: only who was asked to do
//! the job knows it, and it is good for nothing else.

use axum::extract::State;
use axum::http::StatusCode;
use operator_core::CallbackAnswer;
use operator_queue::CallbackError;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::input::{CallbackPath, JsonBody};
use crate::openapi::{BodyProblems, QueueProblems};
use crate::problem::{Code, Problem, ProblemDocument};

/// Which callback.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only describes what CallbackPath reads")]
pub(crate) struct OnCallback {
    /// The queue of the job.
    queue: String,
    /// The id of the job.
    id: String,
    /// The token that the service was given.
    token: String,
}

/// How the job ended: with one of these.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what is read")]
pub(crate) struct CallbackDocument {
    /// The job's result, any JSON.
    #[schema(value_type = Value, example = json!({"shipped": true}))]
    result: Option<serde_json::Value>,
    /// Why there is none.
    failure: Option<CallbackFailureDocument>,
}

/// Why a service could not do the job.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what is read")]
pub(crate) struct CallbackFailureDocument {
    /// What went wrong, for people.
    message: String,
    /// Whether another attempt may succeed; true unless given.
    retryable: Option<bool>,
}

/// Ends the wait of a job for the service that took it over. Needs no key: the token is one.
#[utoipa::path(
    post, path = "/queues/{queue}/jobs/{id}/callback/{token}", tag = "jobs", params(OnCallback),
    request_body = CallbackDocument,
    responses(
        QueueProblems, BodyProblems, (status = 204, description = "Taken: the job ends with it"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "callback_not_found: no job waits for it"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_state: it was made already, or the job has finished"),
        (status = 410, body = ProblemDocument, content_type = "application/problem+json", description = "callback_expired: it came too late"),
    )
)]
pub(crate) async fn call_back(
    State(app): State<App>,
    path: CallbackPath,
    JsonBody(answer): JsonBody<CallbackAnswer>,
) -> Result<StatusCode, Problem> {
    match app.queue(path.queue).call_back(&path.id, &path.token, &answer).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error @ CallbackError::Unknown) => Err(Problem::new(Code::CallbackNotFound, error.to_string())),
        Err(error @ CallbackError::Expired) => Err(Problem::new(Code::CallbackExpired, error.to_string())),
        Err(error @ CallbackError::Answered) => Err(Problem::new(Code::JobState, error.to_string())),
        Err(CallbackError::Queue(error)) => Err(error.into()),
    }
}
