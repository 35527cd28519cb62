//! A whole process's telemetry, once: spans reach a collector, metrics reach the recorder.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::time::Duration;

use operator_core::settings::Reader;
use operator_telemetry::{LogStream, TelemetryError, TelemetrySettings, init, names};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a collector got: the request's head and its protobuf body.
struct Delivery {
    head: String,
    body: Vec<u8>,
}

impl Delivery {
    /// Strings stand in protobuf as they are.
    fn mentions(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }
}

/// Answers one request as a collector does.
async fn collect(listener: TcpListener) -> Delivery {
    let (mut stream, _) = listener.accept().await.unwrap();
    let delivery = read_request(&mut stream).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    delivery
}

async fn read_request(stream: &mut TcpStream) -> Delivery {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request ended early");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let body = &bytes[end + 4..];
        if body.len() == length.parse::<usize>().unwrap() {
            return Delivery { body: body.to_vec(), head };
        }
    }
}

fn settings(endpoint: &str) -> TelemetrySettings {
    let source = HashMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("LOG_LEVEL", "error"),
        ("APP_VERSION", "1.2.3"),
        ("ENVIRONMENT", "staging"),
    ]);
    let mut reader = Reader::new(&source);
    let settings = TelemetrySettings::read(&mut reader);
    reader.finish().unwrap();
    settings
}

#[tokio::test]
async fn spans_are_delivered_and_metrics_are_recorded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(&format!("http://{}", listener.local_addr().unwrap()));
    let collector = tokio::spawn(collect(listener));
    let telemetry = init(&settings, "operator-tested", LogStream::Stderr).unwrap();

    tracing::info_span!("process mail", job_id = "job-7").in_scope(|| tracing::info!("an event in the span"));
    metrics::counter!(names::JOBS_COMPLETED, "queue" => "mail").increment(2);
    assert!(telemetry.metrics.render().contains("operator_jobs_completed_total{queue=\"mail\"} 2"));
    assert_eq!(telemetry.identity.service, "operator-tested");
    let again = init(&settings, "operator-tested", LogStream::Stderr).unwrap_err();
    assert!(matches!(again, TelemetryError::AlreadySet { what: "the logs" }), "{again}");

    telemetry.shutdown().await;
    let delivery = tokio::time::timeout(Duration::from_secs(30), collector).await.expect("a delivery").unwrap();
    assert!(delivery.head.starts_with("post /v1/traces http/1.1"), "{}", delivery.head);
    assert!(delivery.head.contains("content-type: application/x-protobuf"), "{}", delivery.head);
    for text in ["process mail", "job-7", "an event in the span", "operator-tested", "1.2.3", "staging"] {
        assert!(delivery.mentions(text), "{text} is missing");
    }
}
