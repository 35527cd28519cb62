//! `system.http` against a real server on a free port of this machine: what arrives there, and what a job gets back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its server included")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Json as JsonResponse};
use axum::routing::{any, get};
use futures::stream;
use operator_core::{Failure, FailureKind};
use operator_packs::{Registry, Rehearsal, SystemSettings};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

/// A server with a route per behaviour, and a worker's registry. The server ends with the runtime of its test.
struct Fixture {
    address: SocketAddr,
    registry: Registry,
    /// Told of each request to `/silent`.
    asked: Arc<Notify>,
}

impl Fixture {
    async fn start(settings: SystemSettings) -> Self {
        let asked = Arc::new(Notify::new());
        let routes = Router::new()
            .route("/echo", any(echo))
            .route("/status/{code}", any(status))
            .route("/endless", get(endless))
            .route("/bytes", get(|| async { vec![0u8, 0xff] }))
            .route("/cookies", get(|| async { AppendHeaders([(SET_COOKIE, "a=1"), (SET_COOKIE, "b=2")]) }))
            .route("/hops/{left}", get(hops))
            .route("/away", get(|| async { (StatusCode::FOUND, [(LOCATION, "ftp://localhost/")]) }))
            .route("/silent", get(silent))
            .with_state(Arc::clone(&asked));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, routes).into_future());
        Self { address, registry: Registry::with_system(settings), asked }
    }

    fn rehearsal(&self, path: &str, mut input: Value) -> Rehearsal {
        input["url"] = format!("http://{}{path}", self.address).into();
        Rehearsal::of("system.http", input)
    }

    async fn run(&self, path: &str, input: Value) -> Result<Value, Failure> {
        let result = self.registry.execute(self.rehearsal(path, input).context()).await?;
        Ok(result.decode().unwrap())
    }

    async fn retryable_failure(&self, path: &str, input: Value) -> String {
        let failure = self.run(path, input).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Retryable, "{}", failure.message);
        failure.message
    }
}

/// Shows the client what it sent.
async fn echo(method: Method, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let headers: HashMap<_, _> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let body = String::from_utf8(body.to_vec()).unwrap();
    ([("x-seen", "yes")], JsonResponse(json!({"method": method.as_str(), "headers": headers, "body": body})))
}

async fn status(Path(code): Path<u16>) -> impl IntoResponse {
    (StatusCode::from_u16(code).unwrap(), format!("the page of {code} {}", "x".repeat(100_000)))
}

/// A body without end: only a client that stops reading ever answers.
async fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'e'; 4096]))))
}

async fn hops(Path(left): Path<u32>) -> impl IntoResponse {
    match left {
        0 => (StatusCode::OK, HeaderMap::new(), "arrived"),
        left => {
            let next = format!("/hops/{}", left - 1).parse().unwrap();
            (StatusCode::FOUND, HeaderMap::from_iter([(LOCATION, next)]), "")
        }
    }
}

async fn silent(State(asked): State<Arc<Notify>>) {
    asked.notify_one();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_response_comes_back_with_status_headers_and_body() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let result = fixture.run("/status/200", json!({})).await.unwrap();
    assert_eq!(result["status"], 200);
    assert_eq!(result["headers"]["content-type"], "text/plain; charset=utf-8");
    assert!(result["durationMs"].is_u64());
    let fields: Vec<_> = result.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["body", "durationMs", "headers", "status", "truncated"]);
}

#[tokio::test]
async fn the_request_is_what_the_job_asked_for() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let input = json!({"method": "put", "headers": {"X-Token": "abc"}, "body": {"a": [1, 2]}});
    let result = fixture.run("/echo", input).await.unwrap();
    assert_eq!(result["headers"]["x-seen"], "yes");
    assert_eq!(result.get("truncated"), None);
    let seen: Value = serde_json::from_str(result["body"].as_str().unwrap()).unwrap();
    assert_eq!((&seen["method"], &seen["body"]), (&json!("PUT"), &json!(r#"{"a":[1,2]}"#)));
    assert_eq!(seen["headers"]["content-type"], "application/json");
    assert_eq!(seen["headers"]["x-token"], "abc");
    assert!(seen["headers"]["user-agent"].as_str().unwrap().starts_with("operator/"));
}

#[tokio::test]
async fn a_text_body_is_sent_as_it_is() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let result = fixture.run("/echo", json!({"method": "POST", "body": "a=1&b=\u{e9}"})).await.unwrap();
    let seen: Value = serde_json::from_str(result["body"].as_str().unwrap()).unwrap();
    assert_eq!(seen["body"], "a=1&b=\u{e9}");
    assert_eq!(seen["headers"].get("content-type"), None);
}

#[tokio::test]
async fn an_unexpected_status_is_retryable_and_shows_the_beginning_of_the_body() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    for code in [404, 503] {
        let message = fixture.retryable_failure(&format!("/status/{code}?token=secret"), json!({})).await;
        let start = format!("GET http://{}/status/{code} answered {code} ", fixture.address);
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains(&format!("expected 2xx: the page of {code} xxx")), "{message}");
        assert!(message.len() < 1000, "{} bytes", message.len());
    }
}

#[tokio::test]
async fn the_expected_status_decides() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let result = fixture.run("/status/404", json!({"expectStatus": 404})).await.unwrap();
    assert_eq!(result["status"], 404);
    let result = fixture.run("/status/409", json!({"expectStatus": [201, 409]})).await.unwrap();
    assert_eq!(result["status"], 409);
    let message = fixture.retryable_failure("/status/200", json!({"expectStatus": [201, 409]})).await;
    assert!(message.contains("answered 200 OK, expected 201 or 409"), "{message}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_limit() {
    let fixture = Fixture::start(SystemSettings { http_max_body_bytes: 10_000, ..SystemSettings::default() }).await;
    let result = fixture.run("/endless", json!({})).await.unwrap();
    assert_eq!(result["body"].as_str().unwrap().len(), 10_000);
    assert_eq!(result["truncated"], true);
}

#[tokio::test]
async fn a_limit_of_zero_keeps_no_body() {
    let fixture = Fixture::start(SystemSettings { http_max_body_bytes: 0, ..SystemSettings::default() }).await;
    let result = fixture.run("/endless", json!({})).await.unwrap();
    assert_eq!((&result["body"], &result["truncated"]), (&json!(""), &json!(true)));
}

#[tokio::test]
async fn a_body_that_is_not_text_comes_back_in_base64() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let result = fixture.run("/bytes", json!({})).await.unwrap();
    assert_eq!((&result["body"], &result["encoding"]), (&json!("AP8="), &json!("base64")));
}

#[tokio::test]
async fn a_repeated_header_comes_back_as_a_list() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let result = fixture.run("/cookies", json!({})).await.unwrap();
    assert_eq!(result["headers"]["set-cookie"], json!(["a=1", "b=2"]));
}

#[tokio::test]
async fn ten_redirects_are_followed_and_no_more() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let result = fixture.run("/hops/10", json!({})).await.unwrap();
    assert_eq!((&result["status"], &result["body"]), (&json!(200), &json!("arrived")));
    let message = fixture.retryable_failure("/hops/11", json!({})).await;
    assert!(message.contains("/hops/11 was redirected in vain: more than 10 redirects"), "{message}");
}

#[tokio::test]
async fn a_redirect_never_leaves_http() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let message = fixture.retryable_failure("/away", json!({})).await;
    assert!(message.contains("/away was redirected in vain: `ftp` is not served"), "{message}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_time_limit() {
    let limit = Duration::from_millis(50);
    let fixture = Fixture::start(SystemSettings { http_timeout: limit, ..SystemSettings::default() }).await;
    let message = fixture.retryable_failure("/silent", json!({})).await;
    assert!(message.contains("/silent got no answer in time"), "{message}");
}

#[tokio::test]
async fn a_body_that_never_ends_within_its_limit_runs_into_the_time_limit() {
    let settings = SystemSettings {
        http_timeout: Duration::from_millis(50),
        http_max_body_bytes: usize::MAX,
        ..SystemSettings::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let trickle = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let routes = Router::new().route("/", get(move || async move { trickle() }));
    tokio::spawn(axum::serve(listener, routes).into_future());
    let context = Rehearsal::of("system.http", json!({"url": url})).context();
    let failure = Registry::with_system(settings).execute(context).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retryable);
    assert!(failure.message.contains("got no answer in time"), "{}", failure.message);
}

#[tokio::test]
async fn a_cancelled_job_lets_go_of_its_request() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let rehearsal = fixture.rehearsal("/silent", json!({}));
    let running = tokio::spawn(fixture.registry.execute(rehearsal.context()));
    fixture.asked.notified().await;
    rehearsal.cancel();
    let failure = running.await.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retryable);
    assert!(failure.message.contains("`system.http` was stopped"), "{}", failure.message);
}

#[tokio::test]
async fn a_port_without_a_server_is_a_retryable_failure_that_says_so() {
    let bound_but_deaf = TcpSocket::new_v4().unwrap();
    bound_but_deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = bound_but_deaf.local_addr().unwrap();
    let registry = Registry::with_system(SystemSettings::default());
    let context = Rehearsal::of("system.http", json!({"url": format!("http://{deaf}/x")})).context();
    let failure = registry.execute(context).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retryable);
    assert!(failure.message.starts_with(&format!("GET http://{deaf}/x got no connection")), "{}", failure.message);
    assert!(failure.message.contains("refused"), "{}", failure.message);
}

#[tokio::test]
async fn https_to_a_server_without_it_is_a_retryable_failure() {
    let fixture = Fixture::start(SystemSettings::default()).await;
    let url = format!("https://{}/echo", fixture.address);
    let context = Rehearsal::of("system.http", json!({"url": url})).context();
    let failure = fixture.registry.execute(context).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retryable, "{}", failure.message);
}

#[tokio::test]
async fn a_bad_url_fails_for_good_and_names_the_field() {
    let registry = Registry::with_system(SystemSettings::default());
    for url in ["ftp://localhost/", "localhost/x", "http://[::1", ""] {
        let context = Rehearsal::of("system.http", json!({"url": url})).context();
        let failure = registry.execute(context).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unrecoverable, "{url}");
        assert!(failure.message.starts_with("the data does not fit `system.http`: url: "), "{}", failure.message);
    }
}
