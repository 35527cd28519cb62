//! Serves a router until a token is cancelled, then drains within a bound.

use std::future::IntoFuture;
use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{HealthState, routes};

/// How long answers under way may take after the health server was told to stop; none of its routes takes longer
/// than its readiness checks.
const HEALTH_DRAIN: Duration = Duration::from_secs(3);

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
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = drained => {
            tracing::warn!(drain_ms = drain.as_millis(), "connections were still open when the server ended");
            Ok(())
        }
    }
}
