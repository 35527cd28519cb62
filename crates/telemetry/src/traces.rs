//! Spans sent to an OpenTelemetry collector, OTLP over HTTP, when one is configured.
//!
//! Without an endpoint nothing here runs: no thread, no client, no spans. With one, the SDK's batch processor gathers
//! spans on a thread of its own and hands each batch to [`CollectorClient`], which sends it on the process's runtime.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt, TraceFlags};
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{Identity, TelemetryError};

/// How long one batch may take to be delivered; OTLP's own default.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// A provider whose spans go to the collector at `endpoint`, a base URL.
pub(crate) fn provider(
    endpoint: &str,
    identity: &Identity,
    runtime: Handle,
) -> Result<SdkTracerProvider, TelemetryError> {
    let unusable = |problem: String| TelemetryError::Traces { endpoint: endpoint.to_owned(), problem };
    let client = CollectorClient::new(endpoint, runtime).map_err(|error| unusable(error.to_string()))?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(SdkTracerProvider::builder().with_resource(resource(identity)).with_batch_exporter(exporter).build())
}

/// The current span as a W3C `traceparent`, for whom this process calls. `None` without a collector.
#[must_use]
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    let flags = span.trace_flags() & TraceFlags::SAMPLED;
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), flags.to_u8()))
}

/// What every span says about its process. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, which the SDK reads,
/// win over what Operator knows.
fn resource(identity: &Identity) -> Resource {
    let detected = Resource::builder().build();
    let ours = [
        ("service.name", &identity.service),
        ("service.version", &identity.version),
        ("deployment.environment.name", &identity.env),
    ];
    let missing = ours.into_iter().filter(|(key, _)| !is_chosen(&detected, key));
    let attributes: Vec<KeyValue> = missing.map(|(key, value)| KeyValue::new(key, value.clone())).collect();
    Resource::builder().with_attributes(attributes).build()
}

/// Whether someone set this attribute; the SDK fills in `unknown_service` where nobody named the service.
fn is_chosen(detected: &Resource, key: &'static str) -> bool {
    let value = detected.get(&Key::from_static_str(key));
    value.is_some_and(|value| !value.as_str().starts_with("unknown_service"))
}

/// Sends batches with the workspace's HTTP client from the SDK's thread, which has no runtime of its own.
#[derive(Debug)]
struct CollectorClient {
    http: reqwest::Client,
    endpoint: String,
    /// Where requests run.
    runtime: Handle,
    /// Whether the last delivery failed, so that an outage is logged once and not per batch.
    failing: AtomicBool,
}

impl CollectorClient {
    fn new(endpoint: &str, runtime: Handle) -> Result<Self, reqwest::Error> {
        // Fails when a provider is already installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(DELIVERY_TIMEOUT).build()?;
        Ok(Self { http, endpoint: endpoint.to_owned(), runtime, failing: AtomicBool::new(false) })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let delivery = self.runtime.spawn(async move { deliver(&http, request).await });
        let outcome = delivery.await.unwrap_or_else(|error| Err(error.into()));
        self.note(&outcome);
        outcome
    }

    fn note(&self, outcome: &Result<Response<Bytes>, HttpError>) {
        let endpoint = &self.endpoint;
        let problem = match outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answered {}", response.status())),
            Err(error) => Some(with_causes(error.as_ref())),
        };
        match (problem, self.failing.load(Ordering::Relaxed)) {
            (Some(problem), false) => {
                self.failing.store(true, Ordering::Relaxed);
                tracing::warn!(endpoint, problem, "traces are not delivered and are dropped until this is mended");
            }
            (None, true) => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(endpoint, "traces are delivered again");
            }
            (Some(_), true) | (None, false) => {}
        }
    }
}

/// The HTTP client's own words hide the cause, which is what helps: connection refused, unknown host.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn deliver(http: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let answer = http.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let headers = answer.headers().clone();
    let mut response = Response::new(answer.bytes().await?);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

impl HttpClient for CollectorClient {
    fn send_bytes<'client, 'future>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        Box::pin(self.send(request))
    }
}
