//! What else there is to know of a queue: how many jobs wait with which priority, how many finished in each minute, its
//! workers, its settings.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use operator_core::Priority;
use operator_core::time::iso;
use operator_queue::{MetricKind, MinuteMetrics, QueueMeta};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, queues};
use crate::app::App;
use crate::input::{Params, QueuePath};
use crate::openapi::{InQueue, ParamProblems, QueueProblems};
use crate::problem::Problem;
use crate::view::WorkerView;

/// The priorities that are counted unless others are asked for: none, and those with names.
const NAMED: [u32; 5] = [0, 1, 10, 100, 1000];

/// The most priorities counted at a time.
const MAX_PRIORITIES: usize = 100;

/// Which priorities are counted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PriorityParams {
    /// Numbers between commas, up to 100; 0 stands for none, and `0,1,10,100,1000` is counted unless given.
    #[param(example = "0,1,10")]
    priorities: Option<String>,
}

/// How many jobs wait with each priority.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriorityCounts {
    /// Jobs by priority; 0 stands for none.
    counts: BTreeMap<u32, u64>,
}

/// How far back minutes are shown.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct MinuteParams {
    /// How many minutes, 1 to 10080; 60 unless given.
    #[param(value_type = Option<u32>)]
    minutes: Option<String>,
}

/// How many jobs finished, as workers that count minutes know it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Minutes {
    /// Those that completed.
    completed: MinutesOf,
    /// Those that failed for good.
    failed: MinutesOf,
}

/// How many jobs finished in one way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MinutesOf {
    /// All that were counted.
    total: u64,
    /// When the last minute was closed; null when nothing was counted yet.
    #[schema(format = DateTime)]
    closed_at: Option<String>,
    /// Jobs per minute, the newest first.
    points: Vec<u64>,
    /// How many minutes are kept.
    kept: u64,
}

/// The workers of a queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workers {
    workers: Vec<WorkerView>,
}

/// The settings of a queue, as Redis has them. What is not set is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    /// Who wrote them last.
    #[schema(example = "bullmq:6.7.0")]
    version: Option<String>,
    /// Whether claims are stopped.
    paused: bool,
    /// How many jobs may run at a time.
    concurrency: Option<u64>,
    /// How many jobs may start within `rateDuration`.
    rate_max: Option<u64>,
    /// The stretch of time of `rateMax`, milliseconds.
    rate_duration: Option<u64>,
    /// How many events are kept, roughly.
    max_events: Option<u64>,
    /// Fields of other programs, as they stand.
    other: BTreeMap<String, String>,
}

/// How many jobs of a queue wait with each priority.
#[utoipa::path(
    get, path = "/queues/{queue}/priorities", tag = "queues", params(InQueue, PriorityParams),
    responses(QueueProblems, ParamProblems, (status = 200, body = PriorityCounts, description = "The counts"))
)]
pub(crate) async fn priorities(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    Params(params): Params<PriorityParams>,
) -> Answer<PriorityCounts> {
    let wanted = params.priorities.as_deref().map_or_else(|| Ok(NAMED.to_vec()), list)?;
    let queue = queues::existing(&app, name).await?;
    Ok(Json(PriorityCounts { counts: queue.counts_per_priority(&wanted).await? }))
}

/// How many jobs of a queue finished in each of the last minutes. Nothing is there unless a worker counts minutes.
#[utoipa::path(
    get, path = "/queues/{queue}/metrics", tag = "queues", params(InQueue, MinuteParams),
    responses(QueueProblems, ParamProblems, (status = 200, body = Minutes, description = "The minutes"))
)]
pub(crate) async fn minutes(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    Params(params): Params<MinuteParams>,
) -> Answer<Minutes> {
    let last = params.minutes.as_deref().map_or(Ok(60), minutes_back)? - 1;
    let queue = queues::existing(&app, name).await?;
    let (completed, failed) =
        tokio::try_join!(queue.metrics(MetricKind::Completed, 0, last), queue.metrics(MetricKind::Failed, 0, last))?;
    Ok(Json(Minutes { completed: completed.into(), failed: failed.into() }))
}

/// The workers listed on a queue, ours and BullMQ's. Managed servers that hide their connections show none.
#[utoipa::path(
    get, path = "/queues/{queue}/workers", tag = "queues", params(InQueue),
    responses(QueueProblems, (status = 200, body = Workers, description = "The workers"))
)]
pub(crate) async fn workers(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Workers> {
    let queue = queues::existing(&app, name).await?;
    Ok(Json(Workers { workers: queue.workers().await?.into_iter().map(WorkerView::from).collect() }))
}

/// The settings of a queue.
#[utoipa::path(
    get, path = "/queues/{queue}/meta", tag = "queues", params(InQueue),
    responses(QueueProblems, (status = 200, body = Meta, description = "The settings"))
)]
pub(crate) async fn meta(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Meta> {
    let queue = queues::existing(&app, name).await?;
    Ok(Json(queue.meta().await?.into()))
}

fn list(text: &str) -> Result<Vec<u32>, Problem> {
    let numbers: Option<Vec<u32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    let fits = |numbers: &Vec<u32>| numbers.len() <= MAX_PRIORITIES && numbers.iter().all(|n| *n <= Priority::MAX);
    numbers.filter(fits).ok_or_else(|| {
        let message = format!("`{text}` is not a list of at most {MAX_PRIORITIES} numbers from 0 to {}", Priority::MAX);
        Problem::parameter("priorities", message)
    })
}

fn minutes_back(text: &str) -> Result<i64, Problem> {
    let minutes = text.parse().ok().filter(|minutes| (1..=10_080).contains(minutes));
    minutes.ok_or_else(|| Problem::parameter("minutes", format!("`{text}` is not a whole number from 1 to 10080")))
}

impl From<MinuteMetrics> for MinutesOf {
    fn from(metrics: MinuteMetrics) -> Self {
        let closed_at = (metrics.previous_ms > 0).then(|| iso(metrics.previous_ms));
        Self { total: metrics.total, closed_at, points: metrics.points, kept: metrics.point_count }
    }
}

impl From<QueueMeta> for Meta {
    fn from(meta: QueueMeta) -> Self {
        Self {
            version: meta.version,
            paused: meta.paused,
            concurrency: meta.concurrency,
            rate_max: meta.rate_max,
            rate_duration: meta.rate_duration_ms,
            max_events: meta.max_events,
            other: meta.other,
        }
    }
}
