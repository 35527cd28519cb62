//! The recorder behind `metrics::counter!` and its like, and the text `/metrics` answers. The names are in
//! [`names`].

use metrics::with_local_recorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::{Identity, TelemetryError, names, process};

/// Jobs wait and run from milliseconds to hours.
const JOB_BUCKETS: [f64; 18] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0];

/// A script takes microseconds in Redis; what lies above a millisecond is network and waiting.
const REDIS_BUCKETS: [f64; 13] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// OpenTelemetry's default for the operations of a client.
const HTTP_BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The metrics of this process: a cheap handle, cloned to whoever serves them.
#[derive(Debug, Clone)]
pub struct Metrics {
    prometheus: PrometheusHandle,
}

impl Metrics {
    /// Makes the recorder every `metrics::…!` macro of this process writes to. [`init`](crate::init) does this.
    ///
    /// # Errors
    /// [`TelemetryError::AlreadySet`] the second time.
    pub fn install(identity: &Identity) -> Result<Self, TelemetryError> {
        let (recorder, metrics) = recorder(identity);
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::AlreadySet { what: "the metrics" })?;
        Ok(metrics)
    }

    /// Metrics that nothing records into, for tests that serve them in a process that has others.
    #[must_use]
    pub fn detached(identity: &Identity) -> Self {
        recorder(identity).1
    }

    /// Every metric as Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.prometheus.render();
        process::render(&mut text);
        text
    }

    /// Folds the observations made since the last time into their histograms.
    pub fn upkeep(&self) {
        self.prometheus.run_upkeep();
    }
}

fn recorder(identity: &Identity) -> (PrometheusRecorder, Metrics) {
    let recorder = builder().build_recorder();
    with_local_recorder(&recorder, || {
        names::describe_all();
        let labels = [
            ("service", identity.service.clone()),
            ("version", identity.version.clone()),
            ("commit", identity.commit.clone()),
        ];
        metrics::gauge!(names::BUILD_INFO, &labels).set(1.0);
    });
    let prometheus = recorder.handle();
    (recorder, Metrics { prometheus })
}

fn builder() -> PrometheusBuilder {
    let histograms: [(&str, &[f64]); 4] = [
        (names::JOB_WAIT, &JOB_BUCKETS),
        (names::JOB_RUN, &JOB_BUCKETS),
        (names::REDIS_CALL, &REDIS_BUCKETS),
        (names::HTTP_REQUEST, &HTTP_BUCKETS),
    ];
    histograms.into_iter().fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        let matcher = Matcher::Full(name.to_owned());
        builder.set_buckets_for_metric(matcher, buckets).expect("no list of buckets is empty")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let [service, version, commit, env] = ["tested", "1.2.3", "abc", "test"].map(str::to_owned);
        Identity { service, version, commit, env }
    }

    #[test]
    fn every_histogram_has_buckets_and_none_is_a_summary() {
        let (recorder, metrics) = recorder(&identity());
        let histograms = || names::ALL.iter().filter(|metric| metric.kind == names::Kind::Histogram);
        with_local_recorder(&recorder, || histograms().for_each(|metric| metrics::histogram!(metric.name).record(0.3)));
        let text = metrics.render();
        for metric in histograms() {
            assert!(text.contains(&format!("# TYPE {} histogram", metric.name)), "{}: {text}", metric.name);
            assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.about)), "{}: {text}", metric.name);
        }
    }

    #[test]
    fn buckets_rise() {
        for buckets in [&JOB_BUCKETS[..], &REDIS_BUCKETS, &HTTP_BUCKETS] {
            assert!(buckets.is_sorted(), "{buckets:?}");
        }
    }

    #[test]
    fn upkeep_loses_no_observation() {
        let (recorder, metrics) = recorder(&identity());
        with_local_recorder(&recorder, || {
            for _ in 0..3 {
                metrics::histogram!(names::JOB_WAIT, "queue" => "mail").record(0.2);
                metrics.upkeep();
            }
        });
        let text = metrics.render();
        assert!(text.contains("operator_job_wait_seconds_count{queue=\"mail\"} 3"), "{text}");
        assert!(text.contains("operator_job_wait_seconds_bucket{queue=\"mail\",le=\"0.25\"} 3"), "{text}");
    }

    #[test]
    fn the_counters_of_a_queue_start_at_zero() {
        let (recorder, metrics) = recorder(&identity());
        with_local_recorder(&recorder, || names::start_counters("mail"));
        let text = metrics.render();
        for name in [names::JOBS_ADDED, names::JOBS_STALLED, names::LEASE_LOST] {
            assert!(text.contains(&format!("{name}{{queue=\"mail\"}} 0")), "{name}: {text}");
        }
    }

    #[test]
    fn the_build_is_named() {
        let text = Metrics::detached(&identity()).render();
        assert!(text.contains(r#"operator_build_info{service="tested",version="1.2.3",commit="abc"} 1"#), "{text}");
    }
}
