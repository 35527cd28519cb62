//! Flows: trees of jobs in any number of queues, where each waits for those below it.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use operator_queue::{AddedFlow, FlowProducer};
use serde::Serialize;
use utoipa::ToSchema;

use super::{address, segment};
use crate::app::App;
use crate::input::{Body, FlowOrFlows, flows};
use crate::openapi::BodyProblems;
use crate::problem::{Problem, ProblemDocument};

/// The flows that were added, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddedFlows {
    flows: Vec<AddedFlowView>,
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
    let list = flows(&body, settings)?;
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
    let body = Json(AddedFlows { flows: added });
    Ok(match location {
        Some(location) => (StatusCode::ACCEPTED, [(header::LOCATION, address(&location))], body).into_response(),
        None => (StatusCode::ACCEPTED, body).into_response(),
    })
}
