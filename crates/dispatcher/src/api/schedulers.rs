//! Schedulers of a queue: each makes a job at an interval or by a cron pattern.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use operator_core::JobId;
use operator_core::time::iso;
use operator_queue::{Queue, Range, Repair, RepairOutcome, Stopped};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::in_queue::offset;
use super::{Answer, queues};
use crate::app::App;
use crate::catalogue::admit;
use crate::input::{Body, Limit, NamedPath, NewSchedulerDocument, Offset, Order, Params, QueuePath, scheduler};
use crate::openapi::{BodyProblems, InQueue, ParamProblems, QueueProblems};
use crate::problem::{Code, FieldError, Problem, ProblemDocument};
use crate::view::SchedulerView;

/// A scheduler in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only describes what `input::NamedPath` reads")]
pub(crate) struct OnScheduler {
    /// The queue's name.
    #[param(example = "default")]
    queue: String,
    /// The scheduler's id.
    #[param(example = "nightly")]
    id: String,
}

/// What a list of schedulers may be asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct SchedulerParams {
    /// `asc`, those that are due first, unless `desc` is given.
    #[param(value_type = Option<String>)]
    order: Option<Order>,
    /// How many schedulers a page has, 1 to 200; 50 unless given.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// Where to go on: the `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of schedulers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchedulerPage {
    /// The schedulers; there may be fewer than asked for although more follow.
    schedulers: Vec<SchedulerView>,
    /// How many there are.
    total: u64,
    /// Send it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A scheduler that was made or changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scheduled {
    /// The scheduler.
    id: String,
    /// The job it has pending.
    next_job_id: String,
    /// Milliseconds until that is due.
    delay: u64,
    /// The name of its jobs, when no worker of ours ever provided it; absent otherwise, or when OPERATOR_UNKNOWN_JOBS is
    /// not `warn`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

/// What was found of schedulers that had stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Repairs {
    /// One per scheduler that had stopped before its end.
    repairs: Vec<RepairView>,
}

/// What was found of a scheduler that had stopped, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Repair)]
pub(crate) struct RepairView {
    /// The scheduler.
    id: String,
    /// What had become of its job: `missing`, `lost` (in no list of the queue) or `finished` (without a successor).
    #[schema(example = "missing")]
    found: &'static str,
    /// The job that was made.
    made: Option<String>,
    /// Why none could be made, and what to do.
    blocked: Option<String>,
}

/// The schedulers of a queue, by when they are due.
#[utoipa::path(
    get, path = "/queues/{queue}/schedulers", tag = "schedulers", params(InQueue, SchedulerParams),
    responses(QueueProblems, ParamProblems, (status = 200, body = SchedulerPage, description = "A page of schedulers"))
)]
pub(crate) async fn list(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    Params(params): Params<SchedulerParams>,
) -> Answer<SchedulerPage> {
    let first = offset(params.cursor.as_deref())?;
    let queue = queues::existing(&app, name).await?;
    let after = first + u64::from(params.limit.0);
    let range = Range { first, last: after - 1, ascending: Order::ascending(params.order, true) };
    let (schedulers, total) = tokio::try_join!(queue.schedulers(range), queue.schedulers_count())?;
    let next_cursor = (after < total).then(|| Offset(after).to_string());
    Ok(Json(SchedulerPage {
        schedulers: schedulers.into_iter().map(SchedulerView::from).collect(),
        total,
        next_cursor,
    }))
}

/// One scheduler.
#[utoipa::path(
    get, path = "/queues/{queue}/schedulers/{id}", tag = "schedulers", params(OnScheduler),
    responses(
        (status = 200, body = SchedulerView, description = "The scheduler"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "scheduler_not_found"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn get(State(app): State<App>, path: NamedPath) -> Answer<SchedulerView> {
    let scheduler = app.queue(path.queue.clone()).scheduler(&path.name).await?;
    Ok(Json(scheduler.ok_or_else(|| no_scheduler(&path))?.into()))
}

/// Makes a scheduler, or gives it another schedule and template. Its next job takes the place of the one it has pending;
/// the same request may be sent any number of times. The queue comes into being with its first scheduler.
#[utoipa::path(
    put, path = "/queues/{queue}/schedulers/{id}", tag = "schedulers", params(OnScheduler),
    request_body(content = NewSchedulerDocument, content_type = "application/json"),
    responses(
        BodyProblems,
        (status = 200, body = Scheduled, description = "Its next job is in the queue"),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_state: its next slots have jobs already"),
        (status = 422, body = ProblemDocument, content_type = "application/problem+json", description = "invalid_schedule, invalid_job"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, redis_full"),
    )
)]
pub(crate) async fn upsert(State(app): State<App>, path: NamedPath, Body(body): Body) -> Answer<Scheduled> {
    let mut wanted = scheduler(&body, app.settings())?;
    let unknown = admit(&app, vec![wanted.candidate(&path.name)]).await?;
    let queue: Queue = app.queue(path.queue);
    let pending = queue.upsert_scheduler(&path.name, &wanted.repeat, &wanted.template).await?;
    let pending = pending.ok_or_else(|| {
        let message = format!(
            "the pattern names no time before {}: give a later endDate",
            wanted.repeat.end_ms.map(iso).unwrap_or_default()
        );
        Problem::of_fields(Code::InvalidSchedule, vec![FieldError::new("repeat.endDate", message)])
    })?;
    app.register(&queue).await?;
    Ok(Json(Scheduled { id: path.name, next_job_id: pending.id.into(), delay: pending.delay_ms, unknown }))
}

/// Ends a scheduler and removes its pending job, unless that may run already.
#[utoipa::path(
    delete, path = "/queues/{queue}/schedulers/{id}", tag = "schedulers", params(OnScheduler),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json", description = "scheduler_not_found"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable"),
    )
)]
pub(crate) async fn remove(State(app): State<App>, path: NamedPath) -> Result<StatusCode, Problem> {
    let existed = app.queue(path.queue.clone()).remove_scheduler(&path.name).await?;
    if existed { Ok(StatusCode::NO_CONTENT) } else { Err(no_scheduler(&path)) }
}

/// Makes the next job of every scheduler that has stopped before its end, because its job is gone or ended without making
/// the next one. Schedulers that go on by themselves are left alone.
#[utoipa::path(
    post, path = "/queues/{queue}/repair-schedulers", tag = "schedulers", params(InQueue),
    responses(QueueProblems, (status = 200, body = Repairs, description = "What had stopped"))
)]
pub(crate) async fn repair(State(app): State<App>, QueuePath(name): QueuePath) -> Answer<Repairs> {
    let queue = queues::existing(&app, name).await?;
    let repairs = queue.repair_schedulers().await?.into_iter().map(RepairView::from).collect();
    Ok(Json(Repairs { repairs }))
}

impl From<Repair> for RepairView {
    fn from(repair: Repair) -> Self {
        let found = match repair.found {
            Stopped::Missing => "missing",
            Stopped::Lost => "lost",
            Stopped::Finished => "finished",
        };
        let (made, blocked) = match repair.outcome {
            RepairOutcome::Made(id) => (Some(JobId::into(id)), None),
            RepairOutcome::Blocked(reason) => (None, Some(reason)),
        };
        Self { id: repair.id, found, made, blocked }
    }
}

fn no_scheduler(path: &NamedPath) -> Problem {
    Problem::new(Code::SchedulerNotFound, format!("queue {} has no scheduler {}", path.queue, path.name))
}
