//! Waiting for a job to finish.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use operator_core::{JobState, Json as JobJson};
use operator_queue::events::{Finished, WaitError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use crate::app::App;
use crate::input::{JobPath, Params};
use crate::openapi::{JobProblems, OnJob, ParamProblems};
use crate::problem::{Problem, ProblemDocument};

/// How long to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitParams {
    /// Milliseconds, 1 to OPERATOR_MAX_WAIT_MS; needed.
    #[param(value_type = u64, required = true, example = 10000)]
    timeout: Option<String>,
}

/// What became of a job while somebody waited.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitOutcome {
    /// The job.
    id: String,
    /// Whether it has finished. If not, wait again.
    finished: bool,
    /// BullMQ's word for where it is.
    #[schema(example = "completed")]
    state: &'static str,
    /// Its result, if it completed.
    #[schema(value_type = Value)]
    result: Option<JobJson>,
    /// Why it failed, if it did.
    error: Option<String>,
}

/// Waits until a job has finished, or the time is up. It is no matter whether it finishes before, while or after one
/// begins to wait, and whether it is kept.
#[utoipa::path(
    get, path = "/queues/{queue}/jobs/{id}/wait", tag = "jobs", params(OnJob, WaitParams),
    responses(
        JobProblems, ParamProblems,
        (status = 200, body = WaitOutcome, description = "It has finished, or the time is up"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, too_many_listeners"),
    )
)]
pub(crate) async fn wait(
    State(app): State<App>,
    path: JobPath,
    Params(params): Params<WaitParams>,
) -> Answer<WaitOutcome> {
    let timeout = timeout(params.timeout.as_deref(), app.settings().max_wait)?;
    let queue = app.queue(path.queue);
    let end = tokio::select! {
        () = app.stopping().cancelled() => None,
        end = queue.wait_until_finished(&path.id, timeout) => match end {
            Ok(end) => Some(end),
            Err(WaitError::TimedOut { .. }) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let (state, result, error) = match end {
        None => (queue.state(&path.id).await?, None, None),
        Some(Finished::Completed(result)) => (JobState::Completed, Some(result), None),
        Some(Finished::Failed(reason)) => (JobState::Failed, None, Some(reason)),
    };
    let finished = result.is_some() || error.is_some();
    Ok(Json(WaitOutcome { id: path.id, finished, state: state.as_str(), result, error }))
}

fn timeout(text: Option<&str>, longest: Duration) -> Result<Duration, Problem> {
    let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    let wanted = text.and_then(|text| text.parse().ok()).filter(|ms| (1..=longest_ms).contains(ms));
    wanted.map(Duration::from_millis).ok_or_else(|| {
        let given = text.map_or_else(|| "it is missing".to_owned(), |text| format!("`{text}` cannot be used"));
        Problem::parameter("timeout", format!("{given}: give milliseconds, 1 to {longest_ms}, and wait again after it"))
    })
}
