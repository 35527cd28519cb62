//! A collector that accepts and never answers must not keep a process from ending. Alone in its file, because
//! telemetry is set up once per process.

use std::collections::HashMap;
use std::time::Duration;

use operator_core::settings::Reader;
use operator_telemetry::{LogStream, TelemetrySettings, init};
use tokio::net::TcpListener;

/// Far beyond the bound of a flush: reaching it means the process hangs.
const HANG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_silent_collector_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let source = HashMap::from([("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("LOG_LEVEL", "off")]);
    let settings = TelemetrySettings::read(&mut Reader::new(&source));
    let telemetry = init(&settings, "operator-tested", LogStream::Stderr).unwrap();
    tracing::info_span!("lost").in_scope(|| {});

    let (_held, ()) = tokio::time::timeout(HANG, async { tokio::join!(listener.accept(), telemetry.shutdown()) })
        .await
        .expect("shutdown ends by itself");
}
