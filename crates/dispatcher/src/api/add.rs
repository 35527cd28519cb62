//! Adding jobs.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use operator_core::JobId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{address, segment};
use crate::app::App;
use crate::input::{Body, QueuePath, jobs};
use crate::problem::{Problem, ProblemDocument};

/// The ids of added jobs, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Added {
    /// One per job. A job whose own id was already in the queue is not added again, and has that id here.
    ids: Vec<JobIdText>,
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
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, redis_full"),
    )
)]
pub(crate) async fn add(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    OriginalUri(uri): OriginalUri,
    Body(body): Body,
) -> Result<Response, Problem> {
    let list = jobs(&body, app.settings())?;
    let queue = app.queue(name);
    app.register(&queue).await?;
    let ids = queue.add_bulk(list.jobs).await?;
    let location = ids.first().filter(|_| !list.is_list).map(|id| format!("{}/{}", uri.path(), segment(id.as_str())));
    let body = Json(Added { ids: ids.into_iter().map(JobIdText).collect() });
    Ok(match location {
        Some(location) => (StatusCode::ACCEPTED, [(header::LOCATION, address(&location))], body).into_response(),
        None => (StatusCode::ACCEPTED, body).into_response(),
    })
}

/// A job to add, or a list of them.
#[derive(ToSchema)]
#[schema(as = JobOrJobs)]
#[serde(untagged)]
#[expect(dead_code, reason = "only describes what `input::jobs` reads")]
pub(crate) enum JobOrJobs {
    /// One job.
    One(Box<NewJobDocument>),
    /// A list of jobs, up to OPERATOR_MAX_BULK_JOBS.
    List(Vec<NewJobDocument>),
}

/// A job to add.
#[derive(ToSchema)]
#[schema(as = NewJob, example = json!({"name": "system.echo", "data": {"hello": "world"}, "opts": {"attempts": 3}}))]
#[expect(dead_code, reason = "only describes what `input::jobs` reads")]
pub(crate) struct NewJobDocument {
    /// Picks the job type that runs it.
    #[schema(min_length = 1)]
    name: String,
    /// What it works on: any JSON.
    data: Option<Value>,
    /// How it wants to be run; `options` is read, too.
    opts: Option<JobOptionsDocument>,
}

/// How a job wants to be run.
#[derive(ToSchema)]
#[schema(as = JobOptions, rename_all = "camelCase", example = json!({
    "jobId": "order-7", "attempts": 3, "backoff": {"type": "exponential", "delay": 1000, "jitter": 0.5}, "delay": 5000,
    "priority": "high", "lifo": false, "removeOnComplete": {"count": 1000, "age": 3600}, "removeOnFail": false,
    "keepLogs": 100, "sizeLimit": 65536, "stackTraceLimit": 10, "timestamp": 1_700_000_000_000u64
}))]
#[expect(dead_code, reason = "only describes what `input::jobs` reads")]
pub(crate) struct JobOptionsDocument {
    /// Its id, generated when absent: not a whole number, no colon, no word the queue keeps for itself.
    job_id: Option<String>,
    /// How many times it may be tried; 0 and 1 both mean once.
    attempts: Option<u32>,
    /// The wait between attempts: milliseconds, or {type: fixed or exponential, delay: milliseconds, jitter: 0 to 1}.
    backoff: Option<Value>,
    /// Milliseconds before it may run.
    delay: Option<u64>,
    /// 1 (first) to 2097151 (last), or critical (1), high (10), normal (100), low (1000). A job that names none goes
    /// before all of them.
    priority: Option<Value>,
    /// Put it at the front of its queue.
    lifo: Option<bool>,
    /// What Redis keeps of it once completed: false for all, true for nothing, a count, or {age: seconds, count, limit}.
    remove_on_complete: Option<Value>,
    /// What Redis keeps of it once failed, in the same forms.
    remove_on_fail: Option<Value>,
    /// Keep the newest this many log lines.
    keep_logs: Option<u32>,
    /// Refuse it when its data is larger than this many bytes.
    size_limit: Option<u64>,
    /// Keep at most this many lines of a stack trace per attempt.
    stack_trace_limit: Option<u32>,
    /// Its creation time, epoch milliseconds; now when absent.
    timestamp: Option<u64>,
}
