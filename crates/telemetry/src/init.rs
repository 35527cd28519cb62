//! Sets up logs, traces and metrics for a process, and takes them down again.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::logs::{self, BoxedLayer, LogStream};
use crate::{Identity, Metrics, TelemetrySettings, traces};

/// How long the last spans may take to leave at shutdown: enough for one round trip to a healthy collector, and not
/// enough to matter to whoever waits for the process to end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// How often observations are folded into their histograms. Until then each takes 8 bytes, so at a hundred thousand
/// observations a second this holds under 2 MB.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(2);

/// Why telemetry could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// [`init`] was called outside a Tokio runtime.
    #[error("telemetry needs a Tokio runtime: call init inside one")]
    NoRuntime,
    /// [`init`] was called twice in one process.
    #[error("{what} of this process were already set up: call init once")]
    AlreadySet {
        /// `the logs` or `the metrics`.
        what: &'static str,
    },
    /// The log filter does not parse.
    #[error("LOG_LEVEL `{filter}` is not a log filter: {problem}")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The exporter of traces could not be built.
    #[error("failed to prepare traces for {endpoint}: {problem}; check OTEL_EXPORTER_OTLP_ENDPOINT")]
    Traces {
        /// The collector.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The telemetry of this process, as long as it lives. Ends with [`Telemetry::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    /// Who this process is.
    pub identity: Identity,
    /// The metrics of this process, for the health server.
    pub metrics: Metrics,
    /// Present only when a collector is configured.
    traces: Option<SdkTracerProvider>,
    /// Folds observations, so that a process nobody scrapes does not grow.
    upkeep: JoinHandle<()>,
}

/// Sets up logs on `stream`, traces where a collector is configured, and metrics. Once per process.
///
/// # Errors
/// [`TelemetryError`] when called twice or outside a Tokio runtime, or when a setting cannot be used.
pub fn init(
    settings: &TelemetrySettings,
    default_service: &str,
    stream: LogStream,
) -> Result<Telemetry, TelemetryError> {
    let runtime = Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
    let identity = settings.identity(default_service);
    let filter = EnvFilter::builder()
        .parse(&settings.log_filter)
        .map_err(|error| TelemetryError::Filter { filter: settings.log_filter.clone(), problem: error.to_string() })?;
    let traces = match &settings.otlp_endpoint {
        Some(endpoint) => Some(traces::provider(endpoint, &identity, runtime.clone())?),
        None => None,
    };
    let mut layers = vec![logs::layer(filter, settings.log_format, stream)];
    layers.extend(traces.as_ref().map(span_layer));
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet { what: "the logs" })?;
    let metrics = Metrics::install(&identity)?;
    let upkeep = runtime.spawn(keep_up(metrics.clone()));
    Ok(Telemetry { identity, metrics, traces, upkeep })
}

impl Telemetry {
    /// Sends the last spans, within a bound.
    pub async fn shutdown(self) {
        self.upkeep.abort();
        let Some(traces) = self.traces else { return };
        // The SDK waits on its thread, which needs this runtime to send: waiting must not occupy it.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}

/// The layer that turns spans into OpenTelemetry's. Leaves out the HTTP client, whose spans would be about sending
/// spans.
fn span_layer(provider: &SdkTracerProvider) -> BoxedLayer<Registry> {
    let silent = ["h2", "hyper", "hyper_util", "opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "reqwest"];
    let targets =
        Targets::new().with_default(LevelFilter::INFO).with_targets(silent.map(|target| (target, LevelFilter::OFF)));
    tracing_opentelemetry::layer().with_tracer(provider.tracer("operator")).with_filter(targets).boxed()
}

async fn keep_up(metrics: Metrics) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}
