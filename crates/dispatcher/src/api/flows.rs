//! Flows: trees of jobs in any number of queues, where each waits for those below it.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::try_join_all;
use operator_core::JobState;
use operator_queue::keys::JobKey;
use operator_queue::{AddedFlow, DependencyKind, FlowProducer, QueueError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::in_queue::offset;
use super::{Answer, address, segment};
use crate::app::App;
use crate::catalogue::admit;
use crate::input::{Body, FlowOrFlows, JobPath, Limit, Offset, Params, flows};
use crate::openapi::{BodyProblems, JobProblems, OnJob, ParamProblems};
use crate::problem::{Problem, ProblemDocument};
use crate::view::{DependencyCountsView, DependencyView, FlowView};

/// The flows that were added, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddedFlows {
    flows: Vec<AddedFlowView>,
    /// The names that no worker of ours ever provided; absent when there are none, or when OPERATOR_UNKNOWN_JOBS is not
    /// `warn`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

/// A job of a flow that was added.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedFlow, no_recursion)]
pub(crate) struct AddedFlowView {
    /// Its queue.
    #[schema(example = "default")]
    queue: String,
    /// Its id. A job whose own id was already in the queue is not added again.
    id: String,
    /// The jobs it waits for, in the order of the request.
    children: Vec<AddedFlowView>,
}

impl From<AddedFlow> for AddedFlowView {
    fn from(added: AddedFlow) -> Self {
        let children = added.children.into_iter().map(Self::from).collect();
        Self { queue: added.queue_name.into(), id: added.id.into(), children }
    }
}

/// Adds one flow, or a list of flows: all of their jobs in one atomic step, or none.
#[utoipa::path(
    post, path = "/flows", tag = "flows",
    request_body(content = FlowOrFlows, content_type = "application/json"),
    responses(
        BodyProblems,
        (status = 202, body = AddedFlows, description = "Accepted: stored in Redis", headers(
            ("Location" = String, description = "The flow as a tree, when one was sent"))),
        (status = 409, body = ProblemDocument, content_type = "application/problem+json", description = "job_state: a job has another parent already"),
        (status = 413, body = ProblemDocument, content_type = "application/problem+json", description = "body_too_large, data_too_large, too_many_jobs"),
        (status = 422, body = ProblemDocument, content_type = "application/problem+json", description = "invalid_job"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json", description = "redis_unavailable, redis_full"),
    )
)]
pub(crate) async fn add(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Body(body): Body,
) -> Result<Response, Problem> {
    let settings = app.settings();
    let mut list = flows(&body, settings)?;
    let unknown = admit(&app, list.candidates()).await?;
    let producer = FlowProducer::new(app.redis())
        .with_max_jobs(settings.max_bulk_jobs)
        .with_max_data_bytes(settings.max_data_bytes);
    let added: Vec<AddedFlowView> =
        producer.add_bulk(&list.flows).await?.into_iter().map(AddedFlowView::from).collect();
    let above = uri.path().strip_suffix("/flows").unwrap_or_default();
    let location = added
        .first()
        .filter(|_| !list.is_list)
        .map(|root| format!("{above}/queues/{}/jobs/{}/flow", segment(&root.queue), segment(&root.id)));
    let body = Json(AddedFlows { flows: added, unknown });
    Ok(match location {
        Some(location) => (StatusCode::ACCEPTED, [(header::LOCATION, address(&location))], body).into_response(),
        None => (StatusCode::ACCEPTED, body).into_response(),
    })
}

/// How much of a tree is shown.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct TreeParams {
    /// How many levels, 1 (the job alone) to 100; 10 unless given.
    #[param(value_type = Option<u32>)]
    depth: Option<String>,
    /// How many children of each job, 0 to 1000; 20 unless given.
    #[param(value_type = Option<u32>)]
    max_children: Option<String>,
}

/// The flow below a job, as a tree of jobs in short. A tree shows at most 10000 jobs.
#[utoipa::path(
    get, path = "/queues/{queue}/jobs/{id}/flow", tag = "flows", params(OnJob, TreeParams),
    responses(JobProblems, ParamProblems, (status = 200, body = FlowView, description = "The tree"))
)]
pub(crate) async fn tree(
    State(app): State<App>,
    path: JobPath,
    Params(params): Params<TreeParams>,
) -> Answer<FlowView> {
    let depth = within("depth", params.depth.as_deref(), 10, 1, 100)?;
    let max_children = within("maxChildren", params.max_children.as_deref(), 20, 0, 1000)?;
    let node = app.queue(path.queue).flow_outline(&path.id, depth, max_children.into()).await?;
    let node = node.ok_or_else(|| Problem::no_job(&path.id))?;
    let mut keys = Vec::new();
    FlowView::keys(&node, &mut keys);
    let states = states(&app, &keys).await?;
    Ok(Json(FlowView::new(node, &mut states.into_iter())))
}

/// Where each of these jobs is. Jobs of another prefix are not ours to ask for.
async fn states(app: &App, keys: &[&JobKey]) -> Result<Vec<JobState>, QueueError> {
    let mut states = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(STATES_AT_ONCE) {
        let asked = chunk.iter().map(|key| async move {
            if key.prefix != app.redis().prefix() {
                return Ok(JobState::Unknown);
            }
            app.queue(key.queue.clone()).state(key.id.as_str()).await
        });
        states.extend(try_join_all(asked).await?);
    }
    Ok(states)
}

/// How many states are asked for before the first is awaited.
const STATES_AT_ONCE: usize = 100;

fn within(name: &str, text: Option<&str>, usually: u32, least: u32, most: u32) -> Result<u32, Problem> {
    let Some(text) = text else { return Ok(usually) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| Problem::parameter(name, format!("`{text}` is not a whole number from {least} to {most}")))
}

/// Which children are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DependencyParams {
    /// `processed` (completed, with their results), `unprocessed` (waited for), `ignored` (failed without consequence,
    /// with the reasons) or `failed` (they make the job fail); `unprocessed` unless given.
    #[param(value_type = Option<String>, example = "processed")]
    kind: Option<Kind>,
    /// How many children a page has, 1 to 200; 50 unless given. Small lists come whole.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// Where to go on: the `nextCursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Processed,
    #[default]
    Unprocessed,
    Ignored,
    Failed,
}

/// The children of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DependencyPage {
    /// How many there are, by how they stand.
    counts: DependencyCountsView,
    /// Those of the kind that was asked for, in no order that would mean anything.
    dependencies: Vec<DependencyView>,
    /// Send it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// The children of a job: how many there are, and those of one kind with what they returned or why they failed. A child
/// that settles while pages are turned may come twice.
#[utoipa::path(
    get, path = "/queues/{queue}/jobs/{id}/dependencies", tag = "flows", params(OnJob, DependencyParams),
    responses(JobProblems, ParamProblems, (status = 200, body = DependencyPage, description = "A page of children"))
)]
pub(crate) async fn dependencies(
    State(app): State<App>,
    path: JobPath,
    Params(params): Params<DependencyParams>,
) -> Answer<DependencyPage> {
    let cursor = offset(params.cursor.as_deref())?;
    let kind = match params.kind.unwrap_or_default() {
        Kind::Processed => DependencyKind::Processed,
        Kind::Unprocessed => DependencyKind::Unprocessed,
        Kind::Ignored => DependencyKind::Ignored,
        Kind::Failed => DependencyKind::Failed,
    };
    let queue = app.queue(path.queue);
    let (counts, page, job) = tokio::try_join!(
        queue.dependency_counts(&path.id),
        queue.dependencies(&path.id, kind, cursor, params.limit.0.into()),
        queue.job(&path.id)
    )?;
    if job.is_none() {
        return Err(Problem::no_job(&path.id));
    }
    Ok(Json(DependencyPage {
        counts: counts.into(),
        dependencies: page.items.into_iter().map(DependencyView::from).collect(),
        next_cursor: page.next.map(|next| Offset(next).to_string()),
    }))
}
