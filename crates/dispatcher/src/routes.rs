//! The whole API on one screen. What an address means is in the handler it leads to, what happens around every request
//! in `edge`, who may ask in `key`. Everything is served under `/v1` and `/internal`, too.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post, put};
use operator_telemetry::{HealthState, health};
use tower::Layer;
use tower::util::MapRequestLayer;

use crate::api::{
    add, by_id, callback, cancel, change, deduplication, docs, events, flows, in_queue, insight, limits, maintenance,
    packs, queues, scheduler, schedulers, search, wait,
};
use crate::app::App;
use crate::{edge, gauges, key};

type Route = (&'static str, &'static str, MethodRouter<App>);

fn table() -> Vec<Route> {
    vec![
        ("GET", "/queues", get(queues::list)),
        ("GET", "/queues/{queue}", get(queues::status)),
        ("DELETE", "/queues/{queue}", delete(maintenance::obliterate)),
        ("POST", "/queues/{queue}/drain", post(maintenance::drain)),
        ("POST", "/queues/{queue}/clean", post(maintenance::clean)),
        ("POST", "/queues/{queue}/remove-orphans", post(maintenance::remove_orphans)),
        ("POST", "/queues/{queue}/retry-all", post(maintenance::retry_all)),
        ("POST", "/queues/{queue}/promote-all", post(maintenance::promote_all)),
        ("POST", "/queues/{queue}/trim-events", post(maintenance::trim_events)),
        ("POST", "/queues/{queue}/pause", post(queues::pause)),
        ("POST", "/queues/{queue}/resume", post(queues::resume)),
        ("GET", "/queues/{queue}/limits", get(limits::get)),
        ("PUT", "/queues/{queue}/concurrency", put(limits::set_concurrency)),
        ("DELETE", "/queues/{queue}/concurrency", delete(limits::remove_concurrency)),
        ("PUT", "/queues/{queue}/rate-limit", put(limits::set_rate)),
        ("DELETE", "/queues/{queue}/rate-limit", delete(limits::remove_rate)),
        ("PUT", "/queues/{queue}/rest", put(limits::rest)),
        ("DELETE", "/queues/{queue}/rest", delete(limits::end_rest)),
        ("GET", "/queues/{queue}/priorities", get(insight::priorities)),
        ("GET", "/queues/{queue}/metrics", get(insight::minutes)),
        ("GET", "/queues/{queue}/workers", get(insight::workers)),
        ("GET", "/queues/{queue}/meta", get(insight::meta)),
        ("GET", "/queues/{queue}/events", get(events::subscribe)),
        ("POST", "/queues/{queue}/events", post(events::publish)),
        ("GET", "/queues/{queue}/schedulers", get(schedulers::list)),
        ("GET", "/queues/{queue}/schedulers/{id}", get(schedulers::get)),
        ("PUT", "/queues/{queue}/schedulers/{id}", put(schedulers::upsert)),
        ("DELETE", "/queues/{queue}/schedulers/{id}", delete(schedulers::remove)),
        ("POST", "/queues/{queue}/repair-schedulers", post(schedulers::repair)),
        ("GET", "/queues/{queue}/deduplication/{id}", get(deduplication::get)),
        ("DELETE", "/queues/{queue}/deduplication/{id}", delete(deduplication::give_up)),
        ("POST", "/flows", post(flows::add)),
        ("POST", "/queues/{queue}/jobs", post(add::add)),
        ("GET", "/queues/{queue}/jobs", get(in_queue::list)),
        ("GET", "/queues/{queue}/jobs/{id}", get(in_queue::get)),
        ("DELETE", "/queues/{queue}/jobs/{id}", delete(in_queue::remove)),
        ("GET", "/queues/{queue}/jobs/{id}/state", get(in_queue::state)),
        ("GET", "/queues/{queue}/jobs/{id}/wait", get(wait::wait)),
        ("GET", "/queues/{queue}/jobs/{id}/flow", get(flows::tree)),
        ("GET", "/queues/{queue}/jobs/{id}/dependencies", get(flows::dependencies)),
        ("DELETE", "/queues/{queue}/jobs/{id}/dependencies", delete(maintenance::remove_dependencies)),
        ("DELETE", "/queues/{queue}/jobs/{id}/parent", delete(change::leave_parent)),
        ("PUT", "/queues/{queue}/jobs/{id}/delay", put(change::delay)),
        ("PUT", "/queues/{queue}/jobs/{id}/priority", put(change::priority)),
        ("PUT", "/queues/{queue}/jobs/{id}/data", put(change::data)),
        ("GET", "/queues/{queue}/jobs/{id}/logs", get(in_queue::logs)),
        ("DELETE", "/queues/{queue}/jobs/{id}/logs", delete(change::clear_logs)),
        ("POST", "/queues/{queue}/jobs/{id}/retry", post(in_queue::retry)),
        ("POST", "/queues/{queue}/jobs/{id}/promote", post(in_queue::promote)),
        ("POST", "/queues/{queue}/jobs/{id}/callback/{token}", post(callback::call_back)),
        ("POST", "/queues/{queue}/jobs/{id}/cancel", post(cancel::in_queue)),
        ("GET", "/queues/{queue}/unserved", get(packs::unserved)),
        ("GET", "/packs", get(packs::list)),
        ("GET", "/packs/{id}", get(packs::get)),
        ("GET", "/job-types", get(packs::job_type_list)),
        ("GET", "/jobs", get(search::search)),
        ("GET", "/jobs/{id}", get(by_id::get)),
        ("POST", "/jobs/{id}/execute", post(by_id::execute)),
        ("POST", "/jobs/{id}/cancel", post(cancel::by_id)),
        ("GET", "/queue-status", get(queues::statuses)),
        ("GET", "/scheduler/status", get(scheduler::status)),
        ("GET", "/openapi.json", get(docs::openapi)),
        ("GET", "/docs", get(docs::redirect)),
        ("GET", "/docs/", get(docs::index)),
        ("GET", "/docs/{*file}", get(docs::file)),
    ]
}

/// The smallest limit on a request's body; it leaves a list of a thousand ordinary jobs ample room.
const MIN_BODY_LIMIT: u64 = 16 * 1024 * 1024;

/// What a job's name and options may add to its data.
const ENVELOPE: u64 = 64 * 1024;

/// The routes with everything around them; `health` answers `/health`, `/ready`, `/version` and `/metrics`.
pub(crate) fn router(app: App, health: HealthState) -> Router {
    let limit = MIN_BODY_LIMIT.max(app.settings().max_data_bytes.saturating_add(ENVELOPE));
    let routes = table().into_iter().fold(Router::new(), |router, (_, path, handler)| router.route(path, handler));
    let router = routes
        .with_state(app.clone())
        .merge(health::routes(health))
        .fallback(edge::no_route)
        .method_not_allowed_fallback(edge::no_method)
        .layer(DefaultBodyLimit::max(usize::try_from(limit).unwrap_or(usize::MAX)))
        .layer(from_fn_with_state(app.clone(), gauges::refresh))
        .layer(from_fn_with_state(app, key::require))
        .layer(from_fn(edge::observe));
    Router::new().fallback_service(MapRequestLayer::new(edge::without_alias).layer(router))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::table;
    use crate::openapi;

    /// Served by the telemetry crate, or parts of another page.
    const BESIDES: [&str; 4] = ["GET /health", "GET /ready", "GET /version", "GET /metrics"];
    const UNDOCUMENTED: [&str; 3] = ["GET /docs", "GET /docs/", "GET /docs/{*file}"];

    #[test]
    fn the_document_describes_exactly_the_routes() {
        let document = serde_json::to_value(openapi::document()).unwrap();
        let mut described = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            described.extend(operations.as_object().unwrap().keys().map(|m| format!("{} {path}", m.to_uppercase())));
        }
        let served = table().into_iter().map(|(method, path, _)| format!("{method} {path}"));
        let mut expected: BTreeSet<String> = served.chain(BESIDES.map(str::to_owned)).collect();
        expected.retain(|route| !UNDOCUMENTED.contains(&route.as_str()));
        assert_eq!(described, expected);
    }

    #[test]
    fn the_reference_names_every_route() {
        let reference = include_str!("../../../docs/API.md");
        for (method, path, _) in table().into_iter().filter(|(_, path, _)| !path.starts_with("/docs/")) {
            assert!(reference.contains(&format!("`{method} {path}`")), "docs/API.md does not name {method} {path}");
        }
    }
}
