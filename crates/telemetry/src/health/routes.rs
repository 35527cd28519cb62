//! `/health`, `/ready`, `/version`, `/metrics` and their aliases, to mount into any router.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{HealthState, Verdict};

/// The content type of Prometheus' text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes, answering from `state`.
pub fn routes(state: HealthState) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/livez", get(health))
        .route("/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn health(State(state): State<HealthState>) -> Response {
    answer(&state, &state.live())
}

async fn ready(State(state): State<HealthState>) -> Response {
    answer(&state, &state.ready().await)
}

async fn version(State(state): State<HealthState>) -> Response {
    Json(state.identity()).into_response()
}

async fn metrics(State(state): State<HealthState>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], state.metrics().render()).into_response()
}

fn answer(state: &HealthState, verdict: &Verdict) -> Response {
    let status = if verdict.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = verdict.to_json(&state.identity().service);
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
