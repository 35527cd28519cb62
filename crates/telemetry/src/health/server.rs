//! Serves a router until a token is cancelled, then drains within a bound.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{HealthState, routes};

/// How long answers under way may take after the health server was told to stop; none of its routes takes longer
/// than its readiness checks.
const HEALTH_DRAIN: Duration = Duration::from_secs(3);

/// How long a connection may stay without the head of a request. Balancers keep one for about a minute and expect it to
/// be there; one that somebody opened and forgot is not to be held for ever.
const HEAD_PATIENCE: Duration = Duration::from_secs(90);

/// The pause before the next try when no connection can be taken, mostly because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The server of a process whose only HTTP is its health.
#[derive(Debug)]
pub struct HealthServer;

impl HealthServer {
    /// Answers on `listener` from `state` until `stop` is cancelled.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(listener: TcpListener, state: HealthState, stop: CancellationToken) -> io::Result<()> {
        serve(listener, routes(state), stop, HEALTH_DRAIN).await
    }
}

/// Answers on `listener` from `router` until `stop` is cancelled, then gives answers under way at most `drain`.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, drain: Duration) -> io::Result<()> {
    let mut connections = accept_until(&listener, router, &stop, HEAD_PATIENCE).await;
    // Whoever connects now is refused, and goes elsewhere.
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(drain_ms = drain.as_millis(), "connections were still open when the server ended");
    }
    Ok(())
}

/// Takes connections until `stop` is cancelled; returns those that are open then.
async fn accept_until(
    listener: &TcpListener,
    router: Router,
    stop: &CancellationToken,
    head_patience: Duration,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return connections,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, router.clone(), stop.clone(), head_patience));
            }
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot take a connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection, after `stop` only the one under way.
async fn converse(stream: TcpStream, router: Router, stop: CancellationToken, head_patience: Duration) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_patience)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Whether a connection broke before it was taken, which is nobody's concern here.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_never_asks_is_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "here"));
        let stop = CancellationToken::new();
        let serving = stop.clone();
        let server =
            tokio::spawn(
                async move { accept_until(&listener, router, &serving, Duration::from_millis(200)).await.len() },
            );
        for head in ["", "GET / HTTP/1.1\r\nhost: x\r\n"] {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(head.as_bytes()).await.unwrap();
            let mut rest = String::new();
            let _ = silent.read_to_string(&mut rest).await;
            assert!(!rest.contains("here"), "{rest}");
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        stop.cancel();
        server.await.unwrap();
    }
}
