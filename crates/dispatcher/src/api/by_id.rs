//! Jobs by their id alone, in whichever queue: from Redis while they live there, from the history afterwards.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use futures::future::try_join_all;
use operator_core::{JobId, JobOptions, JobRecord, JobState, NewJob, QueueName};
use operator_queue::{Queue, QueueError, RedisError, Refusal};
use serde_json::{Map, Value};

use super::{Accepted, Answer, in_queue, segment};
use crate::app::App;
use crate::problem::{Code, Problem, ProblemDocument};
use crate::view::{JobView, public_options};

/// One job, by its id alone. When jobs of several queues have the id, the first queue by name answers.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, body = JobView, description = "The job, from its queue or from the history"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "job_not_found"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, database_unavailable"),
    )
)]
pub(crate) async fn get(State(app): State<App>, id: Result<Path<String>, PathRejection>) -> Answer<JobView> {
    let id = text(id)?;
    if let Some(queue) = live(&app, &id).await?
        && let Some((job, state)) = in_queue::look(&queue, &id).await?
    {
        return Ok(Json(JobView::of_job(job, state)));
    }
    let record = app.store().record(&id).await?.ok_or_else(|| Problem::no_job(&id))?;
    Ok(Json(JobView::of_record(record)))
}

/// Runs a job now: a delayed one is promoted, a finished one runs again with its attempts counted from zero, one that is
/// in line stays there. A job that only the history knows is added again, under its id if a caller may choose it.
#[utoipa::path(
    post, path = "/jobs/{id}/execute", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 202, body = Accepted, description = "In line", headers(
            ("Location" = String, description = "The job"))),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "job_not_found"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_state: it runs, or waits for its children"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, database_unavailable"),
    )
)]
pub(crate) async fn execute(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = text(id)?;
    if let Some(queue) = live(&app, &id).await?
        && let Some((_, state)) = in_queue::look(&queue, &id).await?
    {
        run_now(&queue, &id, state).await?;
        return Ok(accepted(queue.name(), &id));
    }
    let record = app.store().record(&id).await?.ok_or_else(|| Problem::no_job(&id))?;
    let (queue, id) = add_again(&app, record).await?;
    Ok(accepted(queue.name(), id.as_str()))
}

/// The first queue, by name, that has a job of this id. All queues are asked at once.
pub(super) async fn live(app: &App, id: &str) -> Result<Option<Queue>, Problem> {
    let queues = app.queues().await?;
    let found = try_join_all(queues.iter().map(|queue| has(queue, id))).await?;
    Ok(queues.into_iter().zip(found).find_map(|(queue, found)| found.then_some(queue)))
}

async fn has(queue: &Queue, id: &str) -> Result<bool, QueueError> {
    match queue.job(id).await {
        Ok(job) => Ok(job.is_some()),
        // A job whose hash is not readable is there: whoever looks at it is told so.
        Err(QueueError::Corrupt { .. }) => Ok(true),
        // Here the id is the name of a key that is no job's.
        Err(QueueError::Redis(RedisError::Command { problem })) if problem.starts_with("WRONGTYPE") => Ok(false),
        Err(error) => Err(error),
    }
}

async fn run_now(queue: &Queue, id: &str, state: JobState) -> Result<(), Problem> {
    let done = match state {
        JobState::Delayed => queue.promote(id).await,
        JobState::Completed | JobState::Failed => queue.retry(id, in_queue::AGAIN).await,
        JobState::Waiting | JobState::Prioritized => Ok(()),
        JobState::Active => return Err(Problem::new(Code::JobState, format!("job {id} is running"))),
        JobState::WaitingChildren => {
            return Err(Problem::new(Code::JobState, format!("job {id} waits for its children")));
        }
        JobState::Unknown => return Err(Problem::new(Code::JobState, format!("job {id} is in no list of its queue"))),
    };
    match done {
        // It moved on by itself since it was looked at: it runs, or is in line.
        Err(QueueError::Refused { refusal: Refusal::WrongState, .. }) => Ok(()),
        done => Ok(done?),
    }
}

/// The options that say how a job is run. Its delay and its creation time belonged to the run that is over.
const KEPT: [&str; 13] = [
    "attempts",
    "backoff",
    "priority",
    "lifo",
    "removeOnComplete",
    "removeOnFail",
    "keepLogs",
    "sizeLimit",
    "stackTraceLimit",
    "timeoutMs",
    "ttlMs",
    "heartbeatTimeoutMs",
    "notRetried",
];

async fn add_again(app: &App, record: JobRecord) -> Result<(Queue, JobId), Problem> {
    let queue = QueueName::new(record.queue).map_err(Problem::internal)?;
    let queue = app.queue(queue);
    // An id that the queue's own counter gave out cannot be chosen: such a job gets a new one.
    let opts = JobOptions { job_id: JobId::custom(record.id).ok(), ..options(public_options(&record.opts)) };
    app.register(&queue).await?;
    let id = queue.add(NewJob { name: record.name, data: record.data, opts }).await?;
    Ok((queue, id))
}

/// The kept options that are usable; other writers may have left others.
fn options(public: Map<String, Value>) -> JobOptions {
    let usable = |(name, value): &(String, Value)| {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        KEPT.contains(&name.as_str()) && serde_json::from_value::<JobOptions>(alone.into()).is_ok()
    };
    let kept: Map<String, Value> = public.into_iter().filter(usable).collect();
    serde_json::from_value(kept.into()).unwrap_or_default()
}

fn accepted(queue: &QueueName, id: &str) -> Response {
    Accepted::answer(queue.as_str(), id, &format!("/jobs/{}", segment(id)))
}

pub(super) fn text(id: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::new(Code::InvalidRequest, rejection.body_text()))?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_run_again_with_the_options_that_say_how() {
        let public = serde_json::json!({
            "attempts": 3, "delay": 5000, "timestamp": 1, "jobId": "x", "priority": 10, "keepLogs": 7, "backoff": [],
            "mine": true, "removeOnComplete": {"count": 5},
        });
        let options = options(public.as_object().unwrap().clone());
        assert_eq!((options.attempts, options.delay_ms, options.timestamp_ms), (3, 0, None));
        assert_eq!((options.priority.get(), options.keep_logs, options.backoff), (10, Some(7), None));
        assert!(options.remove_on_complete.is_some() && options.job_id.is_none());
    }
}
