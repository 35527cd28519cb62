//! Limits of a whole queue, which every worker of it obeys: how many jobs run at a time, how many start in a stretch of
//! time, and a rest in which none starts.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use operator_queue::Queue;
use operator_queue::worker::RateLimit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, queues};
use crate::app::App;
use crate::input::{JsonBody, QueuePath};
use crate::openapi::{BodyProblems, InQueue, QueueProblems};
use crate::problem::Problem;

/// The limits of a queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    /// How many jobs may run at a time, over all workers; null without such a limit.
    concurrency: Option<u64>,
    /// How many jobs may start in a stretch of time, over all workers; null without such a limit.
    rate_limit: Option<Rate>,
    /// For how many milliseconds no job starts, because the rate is used up or the queue rests; null when jobs start.
    wait_ms: Option<u64>,
}

/// A concurrency to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Concurrency {
    /// How many jobs may run at a time, over all workers.
    #[schema(minimum = 1, example = 5)]
    concurrency: u64,
}

/// How many jobs may start in a stretch of time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RateLimit)]
pub(crate) struct Rate {
    /// How many jobs.
    #[schema(minimum = 1, example = 100)]
    max: u64,
    /// The stretch of time, milliseconds.
    #[schema(minimum = 1, example = 1000)]
    duration: u64,
}

/// A rest to give.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rest {
    /// For how long, milliseconds.
    #[schema(minimum = 1, example = 60000)]
    duration: u64,
}

/// The limits of a queue, and for how long they let no job start.
#[utoipa::path(
    get, path = "/queues/{queue}/limits", tag = "limits", params(InQueue),
    responses(QueueProblems, (status = 200, body = Limits, description = "The limits"))
)]
pub(crate) async fn get(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Limits> {
    limits(&queues::existing(&app, name).await?).await
}

/// Lets no more than so many jobs of a queue run at a time, over all workers.
#[utoipa::path(
    put, path = "/queues/{queue}/concurrency", tag = "limits", params(InQueue), request_body = Concurrency,
    responses(QueueProblems, BodyProblems, (status = 200, body = Limits, description = "The limits now"))
)]
pub(crate) async fn set_concurrency(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    JsonBody(wanted): JsonBody<Concurrency>,
) -> Answer<Limits> {
    let queue = queues::existing(&app, name).await?;
    queue.set_global_concurrency(wanted.concurrency).await?;
    limits(&queue).await
}

/// Lets as many jobs of a queue run as its workers have slots.
#[utoipa::path(
    delete, path = "/queues/{queue}/concurrency", tag = "limits", params(InQueue),
    responses(QueueProblems, (status = 200, body = Limits, description = "The limits now"))
)]
pub(crate) async fn remove_concurrency(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Limits> {
    let queue = queues::existing(&app, name).await?;
    queue.remove_global_concurrency().await?;
    limits(&queue).await
}

/// Lets no more than so many jobs of a queue start in a stretch of time, over all workers.
#[utoipa::path(
    put, path = "/queues/{queue}/rate-limit", tag = "limits", params(InQueue), request_body = Rate,
    responses(QueueProblems, BodyProblems, (status = 200, body = Limits, description = "The limits now"))
)]
pub(crate) async fn set_rate(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    JsonBody(wanted): JsonBody<Rate>,
) -> Answer<Limits> {
    let queue = queues::existing(&app, name).await?;
    let limit = RateLimit { max: wanted.max, duration: Duration::from_millis(wanted.duration) };
    queue.set_global_rate_limit(limit).await?;
    limits(&queue).await
}

/// Takes the rate limit off a queue. Workers with limiters of their own keep to those.
#[utoipa::path(
    delete, path = "/queues/{queue}/rate-limit", tag = "limits", params(InQueue),
    responses(QueueProblems, (status = 200, body = Limits, description = "The limits now"))
)]
pub(crate) async fn remove_rate(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Limits> {
    let queue = queues::existing(&app, name).await?;
    queue.remove_global_rate_limit().await?;
    limits(&queue).await
}

/// Lets a queue rest: for a while none of its jobs starts. BullMQ's own workers obey it only when they or the queue have
/// a rate limit.
#[utoipa::path(
    put, path = "/queues/{queue}/rest", tag = "limits", params(InQueue), request_body = Rest,
    responses(QueueProblems, BodyProblems, (status = 200, body = Limits, description = "The limits now"))
)]
pub(crate) async fn rest(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    JsonBody(wanted): JsonBody<Rest>,
) -> Answer<Limits> {
    let queue = queues::existing(&app, name).await?;
    if wanted.duration == 0 {
        return Err(Problem::parameter("duration", "it is 0: give milliseconds, or DELETE the rest to end it"));
    }
    queue.rate_limit(Duration::from_millis(wanted.duration)).await?;
    limits(&queue).await
}

/// Ends the rest of a queue, and begins to count its rate anew.
#[utoipa::path(
    delete, path = "/queues/{queue}/rest", tag = "limits", params(InQueue),
    responses(QueueProblems, (status = 200, body = Limits, description = "The limits now"))
)]
pub(crate) async fn end_rest(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Limits> {
    let queue = queues::existing(&app, name).await?;
    queue.remove_rate_limit().await?;
    limits(&queue).await
}

async fn limits(queue: &Queue) -> Answer<Limits> {
    let (concurrency, rate, wait) =
        tokio::try_join!(queue.global_concurrency(), queue.global_rate_limit(), queue.rate_limit_ttl(None))?;
    Ok(Json(Limits {
        concurrency,
        rate_limit: rate.map(|rate| Rate { max: rate.max, duration: ms(rate.duration) }),
        wait_ms: wait.map(ms),
    }))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
