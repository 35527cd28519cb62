//! Jobs of one queue: lists by state, and single jobs to look at, remove, retry and promote.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use operator_core::{Job, JobState};
use operator_queue::{Queue, QueueError, Range, RemoveOptions, RetryOptions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Accepted, Answer, queues};
use crate::app::App;
use crate::input::{JobPath, Limit, Offset, Order, Params, QueuePath};
use crate::openapi::{ChangeProblems, InQueue, JobProblems, OnJob, ParamProblems, QueueProblems};
use crate::problem::Problem;
use crate::view::JobView;

/// How often a job that moves while it is looked at is looked at again.
const LOOKS: usize = 3;

/// What a list of one queue may be asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// One of BullMQ's states; `waiting` unless given.
    #[param(example = "waiting")]
    state: Option<String>,
    /// `asc` or `desc`. Unless given, those that finished last come first, all others in the order in which they will
    /// run.
    #[param(value_type = Option<String>)]
    order: Option<Order>,
    /// How many jobs a page has, 1 to 200; 50 unless given.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// Where to go on: the `nextCursor` of the page before.
    cursor: Option<String>,
}

/// What goes with a removed job.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveParams {
    /// `true` removes the jobs below it in its flow, too; unless `false` is given.
    children: Option<bool>,
}

/// What a log may be asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogParams {
    /// How many lines a page has, 1 to 200; 50 unless given.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// Where to go on: the `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobPage {
    /// The jobs; there may be fewer than asked for although more follow.
    pub(crate) jobs: Vec<JobView>,
    /// Send it as `cursor` for the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// A page of a job's log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogPage {
    /// The lines, oldest first.
    lines: Vec<String>,
    /// How many lines the log has.
    total: u64,
    /// Send it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Jobs of a queue in one state.
#[utoipa::path(
    get, path = "/queues/{queue}/jobs", tag = "jobs",
    params(InQueue, ListParams),
    responses(QueueProblems, ParamProblems, (status = 200, body = JobPage, description = "A page of jobs"))
)]
pub(crate) async fn list(
    State(app): State<App>,
    QueuePath(name): QueuePath,
    Params(params): Params<ListParams>,
) -> Answer<JobPage> {
    let state = params.state.as_deref().map_or(Ok(JobState::Waiting), str::parse);
    let state = state.map_err(|message: String| Problem::parameter("state", message))?;
    let first = offset(params.cursor.as_deref())?;
    let queue = queues::existing(&app, name).await?;
    let after = first + u64::from(params.limit.0);
    let range = Range { first, last: after - 1, ascending: Order::ascending(params.order, !state.is_finished()) };
    let (jobs, counts) = tokio::try_join!(queue.jobs(state, range), queue.counts())?;
    // A page may be empty although more follow: ids whose job is gone are not shown.
    let has_more = after < counts.of(state);
    let jobs = jobs.into_iter().map(|job| JobView::of_job(job, state)).collect();
    Ok(Json(JobPage { jobs, next_cursor: has_more.then(|| Offset(after).to_string()) }))
}

/// One job, as long as it is in the queue. `GET /jobs/{id}` finds it afterwards, too.
#[utoipa::path(
    get, path = "/queues/{queue}/jobs/{id}", tag = "jobs",
    params(OnJob),
    responses(JobProblems, (status = 200, body = JobView, description = "The job"))
)]
pub(crate) async fn get(State(app): State<App>, path: JobPath) -> Answer<JobView> {
    let (job, state) = look(&app.queue(path.queue), &path.id).await?.ok_or_else(|| Problem::no_job(&path.id))?;
    Ok(Json(JobView::of_job(job, state)))
}

/// Where a job is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StateOf {
    /// The job.
    id: String,
    /// BullMQ's word; `unknown` when it is in no list of its queue.
    #[schema(example = "waiting")]
    state: &'static str,
}

/// Where a job is, without its data.
#[utoipa::path(
    get, path = "/queues/{queue}/jobs/{id}/state", tag = "jobs", params(OnJob),
    responses(JobProblems, (status = 200, body = StateOf, description = "Its state"))
)]
pub(crate) async fn state(State(app): State<App>, path: JobPath) -> Answer<StateOf> {
    let queue = app.queue(path.queue);
    let mut state = queue.state(&path.id).await?;
    if state == JobState::Unknown {
        let (_, seen) = look(&queue, &path.id).await?.ok_or_else(|| Problem::no_job(&path.id))?;
        state = seen;
    }
    Ok(Json(StateOf { id: path.id, state: state.as_str() }))
}

/// Removes a job from its queue, and the jobs below it in its flow. What history knows of them stays.
#[utoipa::path(
    delete, path = "/queues/{queue}/jobs/{id}", tag = "jobs",
    params(OnJob, RemoveParams),
    responses(ChangeProblems, ParamProblems, (status = 204, description = "Removed"))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    path: JobPath,
    Params(params): Params<RemoveParams>,
) -> Result<StatusCode, Problem> {
    let options = RemoveOptions { children: params.children.unwrap_or(true) };
    app.queue(path.queue).remove(&path.id, options).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a job wrote into its log.
#[utoipa::path(
    get, path = "/queues/{queue}/jobs/{id}/logs", tag = "jobs",
    params(OnJob, LogParams),
    responses(JobProblems, ParamProblems, (status = 200, body = LogPage, description = "A page of lines, oldest first"))
)]
pub(crate) async fn logs(State(app): State<App>, path: JobPath, Params(params): Params<LogParams>) -> Answer<LogPage> {
    let first = offset(params.cursor.as_deref())?;
    let after = first + u64::from(params.limit.0);
    let queue = app.queue(path.queue);
    let ((lines, total), job) = tokio::try_join!(queue.logs(&path.id, first, after - 1), queue.job(&path.id))?;
    if job.is_none() {
        return Err(Problem::no_job(&path.id));
    }
    Ok(Json(LogPage { lines, total, next_cursor: (after < total).then(|| Offset(after).to_string()) }))
}

/// Puts a finished job back in line, with its attempts counted from zero.
#[utoipa::path(
    post, path = "/queues/{queue}/jobs/{id}/retry", tag = "jobs",
    params(OnJob),
    responses(ChangeProblems, (status = 202, body = Accepted, description = "In line again"))
)]
pub(crate) async fn retry(
    State(app): State<App>,
    path: JobPath,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    app.queue(path.queue.clone()).retry(&path.id, AGAIN).await?;
    Ok(path.accepted(uri.path(), "/retry"))
}

/// Lets a delayed job run now.
#[utoipa::path(
    post, path = "/queues/{queue}/jobs/{id}/promote", tag = "jobs",
    params(OnJob),
    responses(ChangeProblems, (status = 202, body = Accepted, description = "In line"))
)]
pub(crate) async fn promote(
    State(app): State<App>,
    path: JobPath,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    app.queue(path.queue.clone()).promote(&path.id).await?;
    Ok(path.accepted(uri.path(), "/promote"))
}

/// Whoever asks for another run means a whole one: a job that used up its attempts would fail at its first error.
pub(super) const AGAIN: RetryOptions = RetryOptions::AFRESH;

impl JobPath {
    /// 202 with the job's address, which is this one without the verb.
    fn accepted(&self, path: &str, verb: &str) -> Response {
        Accepted::answer(self.queue.as_str(), &self.id, path.strip_suffix(verb).unwrap_or(path))
    }
}

pub(super) fn offset(cursor: Option<&str>) -> Result<u64, Problem> {
    let offset: Option<Offset> =
        cursor.map(str::parse).transpose().map_err(|message: String| Problem::parameter("cursor", message))?;
    Ok(offset.map_or(0, |offset| offset.0))
}

/// A job and where it is. The two are read one after the other: a job that finished or was retried in between is read
/// again, so that its state and its fields tell the same story.
pub(super) async fn look(queue: &Queue, id: &str) -> Result<Option<(Job, JobState)>, QueueError> {
    let mut seen = None;
    for _ in 0..LOOKS {
        let (job, state) = tokio::try_join!(queue.job(id), queue.state(id))?;
        let Some(job) = job else { return Ok(None) };
        let agree = state.is_finished() == job.finished_ms.is_some();
        seen = Some((job, state));
        if agree {
            break;
        }
    }
    Ok(seen)
}
