//! What the descriptions of many operations have in common: names in the path, and the problems that any operation on a
//! queue, on a job, with a body or with parameters may answer.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses};

/// A queue in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only describes what `input::QueuePath` reads")]
pub(crate) struct InQueue {
    /// The queue's name.
    #[param(example = "default")]
    queue: String,
}

/// A job in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only describes what `input::JobPath` reads")]
pub(crate) struct OnJob {
    /// The queue's name.
    #[param(example = "default")]
    queue: String,
    /// The job's id.
    id: String,
}

/// What any operation on a queue may answer.
pub(crate) struct QueueProblems;

/// What any operation on a job of a queue may answer.
pub(crate) struct JobProblems;

/// What any operation that changes one job may answer.
pub(crate) struct ChangeProblems;

/// What any operation with a body may answer.
pub(crate) struct BodyProblems;

/// What any operation with parameters may answer.
pub(crate) struct ParamProblems;

impl IntoResponses for QueueProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("404", "queue_not_found"), ("503", "redis_unavailable")])
    }
}

impl IntoResponses for JobProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("404", "job_not_found"), ("503", "redis_unavailable")])
    }
}

impl IntoResponses for ChangeProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let state = ("409", "job_held, job_state");
        problems(&[("404", "job_not_found"), state, ("503", "redis_unavailable, redis_full")])
    }
}

impl IntoResponses for BodyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let size = ("413", "body_too_large, data_too_large");
        problems(&[("400", "invalid_json, invalid_request"), size, ("415", "not_json")])
    }
}

impl IntoResponses for ParamProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("400", "invalid_request")])
    }
}

/// Problems by status, each with the codes it stands for.
fn problems(codes: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let response = |codes: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(codes).content("application/problem+json", content).build()
    };
    codes.iter().map(|(status, codes)| ((*status).to_owned(), RefOr::T(response(codes)))).collect()
}
