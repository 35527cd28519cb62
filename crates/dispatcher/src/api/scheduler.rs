//! The summary that older services served under `/scheduler/status`, made of real counts.

use axum::Json;
use axum::extract::State;
use operator_core::JobStatus;
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::app::App;
use crate::problem::{Problem, ProblemDocument};
use crate::view::{CountsView, QueueView};

/// What this service does by itself, and how many jobs there are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchedulerStatus {
    /// Whether the archive, which works by itself at an interval, makes progress.
    running: bool,
    /// That interval, in seconds.
    #[schema(example = 5.0)]
    interval_seconds: f64,
    /// The sum of the four numbers below.
    total_jobs: u64,
    /// Jobs in all queues that wait for a worker, for their time or for their children.
    pending_jobs: u64,
    /// Jobs that workers hold.
    running_jobs: u64,
    /// Completed jobs in the history, at most 15 seconds old; a job that completed twice counts twice.
    completed_jobs: u64,
    /// Failed and cancelled jobs in the history, counted alike.
    failed_jobs: u64,
}

/// A summary over all queues and the history.
#[utoipa::path(
    get, path = "/scheduler/status", tag = "queues",
    responses(
        (status = 200, body = SchedulerStatus, description = "The summary"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, database_unavailable"),
    )
)]
pub(crate) async fn status(State(app): State<App>) -> Answer<SchedulerStatus> {
    let live = async {
        let queues = app.of_each(|queue| async move { QueueView::of(&queue).await }).await;
        queues.map_err(Problem::from)
    };
    let stored = async { app.record_counts().await.map_err(Problem::from) };
    let (queues, records) = tokio::try_join!(live, stored)?;
    let sum = |count: fn(&CountsView) -> u64| queues.iter().map(|queue| count(&queue.counts)).sum::<u64>();
    let (pending_jobs, running_jobs) = (sum(CountsView::pending), sum(|counts| counts.active));
    let (mut completed_jobs, mut failed_jobs) = (0, 0);
    for count in records {
        match count.status {
            JobStatus::Completed => completed_jobs += count.records,
            _ => failed_jobs += count.records,
        }
    }
    Ok(Json(SchedulerStatus {
        running: app.archive_runs(),
        interval_seconds: app.archive_interval().as_secs_f64(),
        total_jobs: pending_jobs + running_jobs + completed_jobs + failed_jobs,
        pending_jobs,
        running_jobs,
        completed_jobs,
        failed_jobs,
    }))
}
