//! Jobs that a service runs, against a real server on a free port of this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its server included")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use operator_core::{CallbackAnswer, CallbackFailure, Failure, FailureKind, Json};
use operator_packs::service::{Endpoint, Service, ServiceSettings, SigningKey};
use operator_packs::{Executor, Move, Rehearsal};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const SECRET: &str = "a secret that only the two know";

/// What arrived at the service.
type Arrived = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

struct Fixture {
    address: SocketAddr,
    arrived: Arrived,
}

impl Fixture {
    async fn start() -> Self {
        let arrived = Arrived::default();
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let away = format!("http://{}/done", elsewhere.local_addr().unwrap());
        tokio::spawn(
            axum::serve(elsewhere, Router::new().route("/done", post(done)).with_state(Arrived::default()))
                .into_future(),
        );
        let routes = Router::new()
            .route("/done", post(done))
            .route("/text", post(|| async { "shipped" }))
            .route("/nothing", post(|| async { StatusCode::NO_CONTENT }))
            .route("/broken", post(|| async { ([(CONTENT_TYPE, "application/json")], "{\"a\":") }))
            .route("/accepted", post(|| async { StatusCode::ACCEPTED }))
            .route("/status/{code}", post(status))
            .route("/later/{code}/{when}", post(later))
            .route("/endless", post(endless))
            .route("/moved", post(|| async { (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "/done")]) }))
            .route("/away", post(move || async { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, away)]) }))
            .with_state(Arc::clone(&arrived));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, routes).into_future());
        Self { address, arrived }
    }

    fn endpoint(&self, path: &str) -> Endpoint {
        Endpoint {
            url: format!("http://{}{path}", self.address).parse().unwrap(),
            headers: HeaderMap::from_iter([(HeaderName::from_static("x-tenant"), HeaderValue::from_static("a"))]),
            key: Some(SigningKey::new(SECRET).unwrap()),
            allow_private: true,
            callback_within: None,
            max_response_bytes: 1000,
        }
    }

    async fn run(&self, path: &str) -> Result<Json, Failure> {
        run(self.endpoint(path), &order()).await
    }
}

fn order() -> Rehearsal {
    Rehearsal::of("order.ship", json!({"item": 7})).after_attempts(1, 3)
}

fn settings() -> ServiceSettings {
    ServiceSettings {
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(30),
        public_url: Some("https://operator.example/base/".parse().unwrap()),
    }
}

async fn run(endpoint: Endpoint, rehearsal: &Rehearsal) -> Result<Json, Failure> {
    Service::new(endpoint, settings()).unwrap().execute(rehearsal.context()).await
}

async fn done(State(arrived): State<Arrived>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    arrived.lock().unwrap().push((headers, body));
    ([(CONTENT_TYPE, "application/json; charset=utf-8")], r#"{ "shipped": 1.50 }"#)
}

async fn status(Path(code): Path<u16>) -> impl IntoResponse {
    (StatusCode::from_u16(code).unwrap(), "no such item")
}

async fn later(Path((code, when)): Path<(u16, String)>) -> impl IntoResponse {
    (StatusCode::from_u16(code).unwrap(), [(RETRY_AFTER, when)])
}

async fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 500]))))
}

#[tokio::test]
async fn a_job_is_posted_signed_and_its_answer_is_the_result_byte_for_byte() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.run("/done").await.unwrap().as_str(), r#"{ "shipped": 1.50 }"#);
    let (headers, body) = fixture.arrived.lock().unwrap().pop().unwrap();
    let header = |name: &str| headers[name].to_str().unwrap();
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        document,
        json!({"id": "1", "queue": "rehearsal", "name": "order.ship", "attempt": 2, "maxAttempts": 3,
            "timestamp": "1970-01-01T00:00:00.000Z", "data": {"item": 7}})
    );
    assert_eq!((header("webhook-id"), header("idempotency-key")), ("rehearsal:1:2", "\"rehearsal:1:2\""));
    assert_eq!((header("x-tenant"), header("content-type")), ("a", "application/json"));
    let signed = format!("rehearsal:1:2.{}.{}", header("webhook-timestamp"), std::str::from_utf8(&body).unwrap());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    ring::hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn text_and_nothing_are_results_too() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.run("/text").await.unwrap().as_str(), r#""shipped""#);
    assert_eq!(fixture.run("/nothing").await.unwrap(), Json::null());
}

#[tokio::test]
async fn what_a_client_did_wrong_ends_the_job_and_what_passes_does_not() {
    let fixture = Fixture::start().await;
    for (path, kind) in [
        ("/status/400", FailureKind::Unrecoverable),
        ("/status/404", FailureKind::Unrecoverable),
        ("/status/422", FailureKind::Unrecoverable),
        ("/status/408", FailureKind::Retryable),
        ("/status/429", FailureKind::Retryable),
        ("/status/500", FailureKind::Retryable),
        ("/status/503", FailureKind::Retryable),
    ] {
        let failure = fixture.run(path).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{path}");
        assert!(
            failure.message.contains(&path[8..]) && failure.message.contains("no such item"),
            "{}",
            failure.message
        );
    }
    let failure = fixture.run("/broken").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retryable);
    assert!(failure.message.contains("answered none"), "{}", failure.message);
}

#[tokio::test]
async fn a_service_that_asks_for_patience_gets_it_without_an_attempt() {
    let fixture = Fixture::start().await;
    for (path, pause) in [
        ("/later/429/30", Duration::from_secs(30)),
        ("/later/503/7", Duration::from_secs(7)),
        ("/later/503/999999999", Duration::from_hours(24)),
        ("/later/429/Thu, 01 Jan 1970 00:00:00 GMT", Duration::ZERO),
    ] {
        let rehearsal = order();
        assert_eq!(run(fixture.endpoint(path), &rehearsal).await, Err(Failure::moved()), "{path}");
        assert_eq!(rehearsal.moves(), [Move::After(pause)]);
    }
    let failure = fixture.run("/later/503/soon").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retryable, "a pause that nobody can read is none");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let failure = Fixture::start().await.run("/endless").await.unwrap_err();
    assert!(failure.message.contains("more than 1000 bytes (max_response_bytes)"), "{}", failure.message);
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_host_only() {
    let fixture = Fixture::start().await;
    assert!(fixture.run("/moved").await.is_ok());
    assert_eq!(fixture.arrived.lock().unwrap().len(), 1);
    let failure = fixture.run("/away").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unrecoverable);
    assert!(failure.message.contains("redirects to other hosts are not followed"), "{}", failure.message);
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let fixture = Fixture::start().await;
    let port = fixture.address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
        let url = format!("http://{host}:{port}/done").parse().unwrap();
        let endpoint = Endpoint { allow_private: false, url, ..fixture.endpoint("/") };
        let failure = run(endpoint, &order()).await.unwrap_err();
        assert!(failure.message.contains("allow_private"), "{host}: {}", failure.message);
    }
    assert!(fixture.arrived.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_accepted_job_is_parked_and_ends_with_its_callback() {
    let fixture = Fixture::start().await;
    let endpoint = || Endpoint { callback_within: Some(Duration::from_hours(1)), ..fixture.endpoint("/accepted") };
    let rehearsal = order();
    assert_eq!(run(endpoint(), &rehearsal).await, Err(Failure::moved()));
    let callback = rehearsal.callback().unwrap();
    assert_eq!(rehearsal.moves(), [Move::At(callback.expires_ms)]);
    rehearsal.call_back(CallbackAnswer::Result(Json::from(json!("done"))));
    assert_eq!(run(endpoint(), &rehearsal).await.unwrap().as_str(), r#""done""#);

    let rehearsal = order();
    assert_eq!(run(endpoint(), &rehearsal).await, Err(Failure::moved()));
    rehearsal.call_back(CallbackAnswer::Failure(CallbackFailure { message: "no stock".to_owned(), retryable: false }));
    assert_eq!(run(endpoint(), &rehearsal).await, Err(Failure::unrecoverable("no stock")));
}

#[tokio::test]
async fn a_callback_that_never_comes_costs_the_attempt() {
    let fixture = Fixture::start().await;
    let endpoint = Endpoint { callback_within: Some(Duration::ZERO), ..fixture.endpoint("/accepted") };
    let failure = run(endpoint, &order()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retryable);
    assert!(failure.message.contains("did not call back by"), "{}", failure.message);
}

#[tokio::test]
async fn a_service_is_told_where_to_call_back() {
    let fixture = Fixture::start().await;
    let endpoint = Endpoint { callback_within: Some(Duration::from_hours(1)), ..fixture.endpoint("/done") };
    run(endpoint, &order()).await.unwrap();
    let (_, body) = fixture.arrived.lock().unwrap().pop().unwrap();
    let document: Value = serde_json::from_slice(&body).unwrap();
    let url = "https://operator.example/base/queues/rehearsal/jobs/1/callback/rehearsed";
    assert_eq!(document["callback"]["url"], url);
    assert!(document["callback"]["expiresAt"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn what_cannot_work_is_said_before_a_job_runs() {
    let fixture = Fixture::start().await;
    let endpoint = Endpoint { callback_within: Some(Duration::from_hours(1)), ..fixture.endpoint("/accepted") };
    let error = Service::new(endpoint, ServiceSettings { public_url: None, ..settings() }).err().unwrap();
    assert!(error.contains("OPERATOR_PUBLIC_URL"), "{error}");
    let failure = fixture.run("/accepted").await.unwrap_err();
    assert!(failure.message.contains("set callback in its manifest"), "{}", failure.message);
}
