//! The description of the API as a whole: which operations and shapes it has, and how requests are authorised. Each
//! operation is described where it is handled; those of the telemetry crate are described here.

mod parts;

use crate::api::{
    add, by_id, callback, cancel, change, deduplication, docs, events, flows, in_queue, insight, limits, maintenance,
    packs, queues, scheduler, schedulers, search, wait,
};
use crate::problem::ProblemDocument;
use serde_json::Value;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::{Modify, OpenApi, ToSchema};

pub(crate) use parts::{BodyProblems, ChangeProblems, InQueue, JobProblems, OnJob, ParamProblems, QueueProblems};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Operator dispatcher",
        description = "Adds jobs to queues, shows what became of them, and steers them. The reference with examples is \
            docs/API.md. Every route is also served under /v1 and /internal."
    ),
    paths(
        add::add, in_queue::list, in_queue::get, in_queue::state, in_queue::remove, in_queue::logs, in_queue::retry,
        in_queue::promote, wait::wait, search::search, by_id::get, by_id::execute, callback::call_back,
        cancel::in_queue, cancel::by_id, deduplication::get,
        deduplication::give_up, change::delay, change::priority, change::data, change::clear_logs, change::leave_parent,
        flows::add, flows::tree, flows::dependencies,
        queues::list, queues::status, queues::statuses, queues::pause, queues::resume, scheduler::status,
        insight::priorities, insight::minutes, insight::workers, insight::meta, events::subscribe, events::publish,
        schedulers::list, schedulers::get, schedulers::upsert, schedulers::remove, schedulers::repair,
        limits::get, limits::set_concurrency, limits::remove_concurrency, limits::set_rate, limits::remove_rate,
        limits::rest, limits::end_rest,
        maintenance::drain, maintenance::clean, maintenance::obliterate, maintenance::remove_orphans,
        maintenance::retry_all, maintenance::promote_all, maintenance::trim_events, maintenance::remove_dependencies,
        packs::list, packs::get, packs::job_type_list, packs::unserved,
        docs::openapi, health, ready, version, metrics
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "jobs", description = "Add, look at and steer jobs"),
        (name = "flows", description = "Trees of jobs"),
        (name = "queues", description = "Look at and steer queues"),
        (name = "schedulers", description = "Jobs at intervals and by cron patterns"),
        (name = "packs", description = "What workers run"),
        (name = "events", description = "What happens, as it happens"),
        (name = "limits", description = "How many jobs run and start"),
        (name = "maintenance", description = "Operations on many jobs"),
        (name = "service", description = "The process itself")
    ),
    modifiers(&Keys)
)]
struct Document;

/// The document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.info.license = None;
    document
}

/// The two headers that carry a key. The empty requirement says that a dispatcher may be open.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
        components.add_security_scheme("apiKey", header);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let none = Vec::<String>::new;
        document.security = Some(vec![
            SecurityRequirement::new("apiKey", none()),
            SecurityRequirement::new("bearer", none()),
            SecurityRequirement::default(),
        ]);
    }
}

/// Whether the process lives and is ready, with the outcome of each check.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the telemetry crate answers")]
struct Health {
    /// ok or unavailable.
    #[schema(example = "ok")]
    status: String,
    /// The name of the service.
    service: String,
    /// What is wrong, if anything is.
    reason: Option<String>,
    /// The outcome of each check.
    #[schema(value_type = Object)]
    checks: Value,
}

/// Which build this is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the telemetry crate answers")]
struct Version {
    /// The name of the service.
    service: String,
    /// The version of the program.
    version: String,
    /// The commit it was built from.
    commit: String,
    /// The name of the environment it runs in.
    env: String,
}

/// Whether the process makes progress. Needs no key.
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, body = Health, description = "It does"),
    (status = 503, body = Health, description = "It does not: restart it"),
))]
#[expect(dead_code, reason = "only describes what the telemetry crate answers")]
fn health() {}

/// Whether Redis and the database answer and the process is not stopping. Needs no key.
#[utoipa::path(get, path = "/ready", tag = "service", responses(
    (status = 200, body = Health, description = "Send requests"),
    (status = 503, body = Health, description = "Send them elsewhere"),
))]
#[expect(dead_code, reason = "only describes what the telemetry crate answers")]
fn ready() {}

/// Which build this is. Needs no key.
#[utoipa::path(get, path = "/version", tag = "service", responses(
    (status = 200, body = Version, description = "The build"),
))]
#[expect(dead_code, reason = "only describes what the telemetry crate answers")]
fn version() {}

/// The metrics of this process and of the queues, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = 200, body = String, content_type = "text/plain", description = "docs/metrics.md explains them"),
))]
#[expect(dead_code, reason = "only describes what the telemetry crate answers")]
fn metrics() {}

#[cfg(test)]
mod tests {
    use operator_core::{Deduplication, JobOptions, ParentRef};
    use operator_queue::Repeat;

    use super::*;

    fn document_json() -> Value {
        serde_json::to_value(document()).unwrap()
    }

    #[test]
    fn the_document_is_openapi_3_1() {
        assert!(document_json()["openapi"].as_str().unwrap().starts_with("3.1"));
    }

    /// Checks that a schema's example is read, and that it describes exactly what is read.
    fn check_described<T: serde::de::DeserializeOwned>(name: &str, is_example_whole: bool) {
        let schema = &document_json()["components"]["schemas"][name];
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let described = names(&schema["properties"]);
        if is_example_whole {
            let example = &schema["example"];
            assert!(serde_json::from_value::<T>(example.clone()).is_ok(), "{example}");
            assert_eq!(names(example), described);
        }
        let unknown = serde_json::from_str::<T>(r#"{"?":1}"#).err().unwrap().to_string();
        for name in &described {
            assert!(unknown.contains(&format!("`{name}`")), "{name}: {unknown}");
        }
        assert_eq!(unknown.matches('`').count() / 2 - 1, described.len(), "{unknown}");
    }

    #[test]
    fn the_described_bodies_are_those_that_are_read() {
        check_described::<JobOptions>("JobOptions", true);
        check_described::<ParentRef>("Parent", false);
        check_described::<Deduplication>("Deduplication", false);
        check_described::<Repeat>("Repeat", true);
    }

    #[test]
    fn every_refusal_is_described_as_a_problem() {
        for (path, operations) in document_json()["paths"].as_object().unwrap() {
            for (status, response) in operations.as_object().unwrap().values().flat_map(|operation| {
                operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with(['4', '5']))
            }) {
                let content = response["content"].as_object().unwrap();
                let is_health = path == "/health" || path == "/ready";
                let expected = if is_health { "application/json" } else { "application/problem+json" };
                assert!(content.contains_key(expected), "{path} {status}: {content:?}");
            }
        }
    }
}
