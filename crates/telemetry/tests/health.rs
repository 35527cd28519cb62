//! The health server as its callers see it: a real socket, real requests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod http;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::get;
use operator_core::settings::vars;
use operator_telemetry::{HealthServer, HealthState, Identity, ListenError, ListenSettings, Metrics};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<std::io::Result<()>>,
}

fn listen_on(port: u16) -> ListenSettings {
    ListenSettings { bind: "::".parse().unwrap(), port, port_var: &vars::HEALTH_PORT }
}

fn healthy() -> HealthState {
    let [service, version, commit, env] = ["tested", "1.2.3", "abc", "test"].map(str::to_owned);
    let identity = Identity { service, version, commit, env };
    HealthState::new(identity.clone(), Metrics::detached(&identity))
}

fn start(state: HealthState) -> Server {
    let listener = listen_on(0).listen().unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let ended = tokio::spawn(HealthServer::serve(listener, state, stop.clone()));
    Server { address, stop, ended }
}

impl Server {
    async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_process_without_checks_is_alive_and_ready_under_every_name() {
    let server = start(healthy());
    for path in ["/health", "/livez", "/ready", "/readyz"] {
        let answer = get(server.address, path).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &"ok".into()), "{path}");
    }
    assert_eq!(get(server.address, "/nothing").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn health_follows_the_liveness_check_and_says_why() {
    let stuck = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stuck);
    let server = start(healthy().with_liveness("claims", move || {
        if seen.load(Ordering::Relaxed) { Err("no progress for 31 s".to_owned()) } else { Ok(()) }
    }));
    assert_eq!(get(server.address, "/health").await.json()["checks"]["claims"], "ok");

    stuck.store(true, Ordering::Relaxed);
    let answer = get(server.address, "/health").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["status"], "unavailable");
    assert_eq!(answer.json()["reason"], "claims: no progress for 31 s");
    assert_eq!(get(server.address, "/ready").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn every_readiness_check_is_named_with_its_outcome() {
    let server = start(
        healthy()
            .with_readiness("redis", || async { Ok(()) })
            .with_readiness("database", || async { Err("connection refused".to_owned()) }),
    );
    let answer = get(server.address, "/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["checks"], serde_json::json!({"redis": "ok", "database": "connection refused"}));
    assert_eq!(answer.json()["reason"], "database: connection refused");
    assert_eq!(get(server.address, "/health").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn checks_that_never_answer_are_given_up_together() {
    let server = start(healthy().with_readiness("redis", pending).with_readiness("database", pending));
    let answer = get(server.address, "/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "redis: no answer within 2 s; database: no answer within 2 s");
    server.stop().await;
}

#[tokio::test]
async fn a_draining_process_is_alive_and_not_ready() {
    let state = healthy().with_readiness("redis", || async { Ok(()) });
    let server = start(state.clone());
    state.begin_drain();
    let answer = get(server.address, "/readyz").await;
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &"process: stopping".into()));
    assert_eq!(get(server.address, "/livez").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn version_is_the_identity() {
    let server = start(healthy());
    let version = get(server.address, "/version").await.json();
    let expected = serde_json::json!({"service": "tested", "version": "1.2.3", "commit": "abc", "env": "test"});
    assert_eq!(version, expected);
    server.stop().await;
}

#[tokio::test]
async fn metrics_name_the_build_and_the_process() {
    let server = start(healthy());
    let answer = get(server.address, "/metrics").await;
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("operator_build_info{service=\"tested\""), "{}", answer.body);
    assert!(answer.body.contains("\noperator_runtime_tasks "), "{}", answer.body);
    if cfg!(target_os = "linux") {
        for name in ["resident_memory_bytes", "cpu_seconds_total", "open_fds", "start_time_seconds"] {
            assert!(answer.body.contains(&format!("\nprocess_{name} ")), "{name}: {}", answer.body);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_port_is_refused_until_the_first_has_ended() {
    let server = start(healthy());
    let again = listen_on(server.address.port());
    let error = again.listen().unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("set HEALTH_PORT to another port"), "{error}");
    server.stop().await;
    again.listen().unwrap();
}

#[tokio::test]
async fn a_client_that_never_finishes_does_not_keep_the_server() {
    use tokio::io::AsyncWriteExt;

    let server = start(healthy());
    let mut silent = tokio::net::TcpStream::connect(("127.0.0.1", server.address.port())).await.unwrap();
    silent.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    assert_eq!(get(server.address, "/health").await.status, 200);
    server.stop().await;
}
