//! Queues: what there is in them, and whether their jobs are claimed.

use axum::Json;
use axum::extract::State;
use futures::future::try_join_all;
use operator_core::QueueName;
use operator_core::time::iso;
use operator_queue::{Queue, now_ms, registry, workers_of};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::app::App;
use crate::input::QueuePath;
use crate::openapi::{InQueue, QueueProblems};
use crate::problem::{Code, Problem, ProblemDocument};
use crate::view::{QueueStatusView, QueueView};

/// Every queue, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queues {
    queues: Vec<QueueView>,
}

/// Every queue, with all there is to say about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueStatuses {
    /// When this was read.
    #[schema(format = DateTime)]
    timestamp: String,
    queues: Vec<QueueStatusView>,
}

/// Whether a queue's jobs are claimed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Paused {
    /// The queue.
    #[schema(example = "default")]
    name: String,
    /// Whether claims are stopped.
    paused: bool,
}

/// Every queue that one of our processes has used, or that was found in Redis, with its counts.
#[utoipa::path(
    get, path = "/queues", tag = "queues",
    responses(
        (status = 200, body = Queues, description = "The queues, by name"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn list(State(app): State<App>) -> Answer<Queues> {
    let queues = app.of_each(|queue| async move { QueueView::of(&queue).await }).await?;
    Ok(Json(Queues { queues }))
}

/// One queue: counts, workers, the age of the job that has waited longest, and what history still has to store.
#[utoipa::path(
    get, path = "/queues/{queue}", tag = "queues",
    params(InQueue),
    responses(QueueProblems, (status = 200, body = QueueStatusView, description = "The queue"))
)]
pub(crate) async fn status(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<QueueStatusView> {
    let queue = existing(&app, name).await?;
    let workers = queue.workers().await?;
    Ok(Json(QueueStatusView::of(&queue, workers).await?))
}

/// The statistics of every queue, under the address that older services served them.
#[utoipa::path(
    get, path = "/queue-status", tag = "queues",
    responses(
        (status = 200, body = QueueStatuses, description = "The queues, by name"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn statuses(State(app): State<App>) -> Answer<QueueStatuses> {
    let queues = app.queues().await?;
    let mut workers = workers_of(app.redis(), &queues).await?;
    let status = |queue| QueueStatusView::of(queue, workers.remove(queue.name()).unwrap_or_default());
    let queues = try_join_all(queues.iter().map(status)).await?;
    Ok(Json(QueueStatuses { timestamp: iso(now_ms()), queues }))
}

/// Stops claims of a queue's jobs. Jobs that run go on; jobs can still be added.
#[utoipa::path(
    post, path = "/queues/{queue}/pause", tag = "queues",
    params(InQueue),
    responses(QueueProblems, (status = 200, body = Paused, description = "Paused, now or before"))
)]
pub(crate) async fn pause(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Paused> {
    let queue = existing(&app, name).await?;
    queue.pause().await?;
    Ok(Json(Paused { name: queue.name().to_string(), paused: true }))
}

/// Lets a queue's jobs be claimed again.
#[utoipa::path(
    post, path = "/queues/{queue}/resume", tag = "queues",
    params(InQueue),
    responses(QueueProblems, (status = 200, body = Paused, description = "Not paused, now or before"))
)]
pub(crate) async fn resume(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Paused> {
    let queue = existing(&app, name).await?;
    queue.resume().await?;
    Ok(Json(Paused { name: queue.name().to_string(), paused: false }))
}

/// The queue called `name`, if anybody has used it: one of our processes, or another that left jobs there or paused it.
pub(crate) async fn existing(app: &App, name: QueueName) -> Result<Queue, Problem> {
    let queue = app.queue(name);
    if registry::known_queues(app.redis()).await?.contains(queue.name()) {
        return Ok(queue);
    }
    let counts = queue.counts().await?;
    if counts.paused || counts.by_state.values().any(|jobs| *jobs > 0) {
        return Ok(queue);
    }
    let detail = format!("there is no queue {}: it comes into being with its first job", queue.name());
    Err(Problem::new(Code::QueueNotFound, detail))
}
