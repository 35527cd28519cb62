//! Every metric an Operator process exports. The reference for users is `docs/metrics.md`.
//!
//! Each constant is the name to give to `metrics::counter!`, `gauge!` or `histogram!`. Labels stay few: a queue, a
//! job type, a script, a route; never a job id.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, exported as `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub kind: Kind,
    /// The labels it carries.
    pub labels: &'static [&'static str],
    /// The unit of its value.
    pub unit: &'static str,
    /// What it says, in one sentence.
    pub about: &'static str,
}

macro_rules! metrics {
    ($($ident:ident $name:literal $kind:ident [$($label:literal),*] $unit:literal, $about:literal;)*) => {
        $(#[doc = $about] pub const $ident: &str = $name;)*
        /// Every metric, in the order of the reference.
        pub const ALL: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], unit: $unit, about: $about }),*
        ];
    };
}

metrics! {
    JOBS_ADDED "operator_jobs_added_total" Counter ["queue"] "jobs", "Jobs this process added.";
    JOBS_UNKNOWN "operator_jobs_unknown_total" Counter [] "names", "Names in requests to this dispatcher that no worker of ours ever provided; counted while OPERATOR_UNKNOWN_JOBS is warn.";
    JOBS_STARTED "operator_jobs_started_total" Counter ["queue"] "attempts", "Attempts this worker began.";
    JOBS_COMPLETED "operator_jobs_completed_total" Counter ["queue"] "jobs", "Jobs this worker finished with a result.";
    JOBS_FAILED "operator_jobs_failed_total" Counter ["queue"] "jobs", "Jobs that failed for good on this worker.";
    JOBS_CANCELLED "operator_jobs_cancelled_total" Counter ["queue"] "jobs", "Jobs that ended on this worker because somebody cancelled them.";
    JOBS_RETRIED "operator_jobs_retried_total" Counter ["queue"] "attempts", "Failed attempts on this worker that another attempt follows.";
    JOBS_STALLED "operator_jobs_stalled_total" Counter ["queue"] "jobs", "Jobs this worker found without their worker and recovered.";
    JOBS_HANDED_BACK "operator_jobs_handed_back_total" Counter ["queue"] "jobs", "Jobs this worker gave back unfinished when it was told to stop.";
    LEASE_LOST "operator_lease_lost_total" Counter ["queue"] "jobs", "Jobs this worker was still running when it no longer owned them.";
    JOB_WAIT "operator_job_wait_seconds" Histogram ["queue"] "seconds", "From the moment a job was due to the start of its attempt.";
    JOB_RUN "operator_job_run_seconds" Histogram ["queue", "name", "outcome"] "seconds", "How long an attempt ran; name is a job type this worker provides or unknown, outcome is completed, failed, retried, timed_out, cancelled or moved (by the job itself).";
    WORKER_SLOTS "operator_worker_slots" Gauge ["state"] "slots", "Slots of this worker: state is used or total.";
    QUEUE_JOBS "operator_queue_jobs" Gauge ["queue", "state"] "jobs", "Jobs of a queue by the wire's state; every dispatcher reports the same number.";
    QUEUE_OLDEST_WAITING_AGE "operator_queue_oldest_waiting_age_seconds" Gauge ["queue"] "seconds", "How long the job at the head of a queue has been due; every dispatcher reports the same number.";
    QUEUE_WORKERS "operator_queue_workers" Gauge ["queue"] "workers", "Workers listed on a queue, ours and BullMQ's; every dispatcher reports the same number.";
    QUEUE_PAUSED "operator_queue_paused" Gauge ["queue"] "boolean", "1 while a queue is paused, else 0; every dispatcher reports the same number.";
    PACK_WORKERS "operator_pack_workers" Gauge ["pack", "version"] "workers", "Live workers that have a version of a pack; every dispatcher reports the same number.";
    HISTORY_BACKLOG "operator_history_backlog_entries" Gauge ["queue"] "entries", "Batches of finished jobs that wait in Redis to be stored; every dispatcher reports the same number.";
    HISTORY_LAG "operator_history_lag_seconds" Gauge ["queue"] "seconds", "How long the oldest batch of finished jobs has waited to be stored; every dispatcher reports the same number.";
    HISTORY_RECORDS "operator_history_records_total" Counter ["outcome"] "records", "Records of finished jobs this dispatcher handled: outcome is stored, duplicate or rejected.";
    REDIS_CONNECTED "operator_redis_connected" Gauge [] "boolean", "1 while this process has its connection to Redis, else 0.";
    REDIS_RECONNECTS "operator_redis_reconnects_total" Counter [] "connections", "How often this process had to connect to Redis again.";
    REDIS_CALL "operator_redis_call_seconds" Histogram ["script"] "seconds", "From sending a script to its reply.";
    HTTP_REQUESTS "operator_http_requests_total" Counter ["route", "method", "status"] "requests", "Requests answered, by the route's pattern.";
    HTTP_REQUEST "operator_http_request_seconds" Histogram ["route", "method"] "seconds", "How long an answer took.";
    BUILD_INFO "operator_build_info" Gauge ["service", "version", "commit"] "boolean", "Always 1; the labels say which build this is.";
    RUNTIME_STARVED "operator_runtime_starved_seconds" Gauge [] "seconds", "For how long jobs that block their threads have kept this worker from running anything else; 0 while they do not.";
    RUNTIME_TASKS "operator_runtime_tasks" Gauge [] "tasks", "Tasks alive on this process's runtime.";
    PROCESS_RESIDENT_MEMORY "process_resident_memory_bytes" Gauge [] "bytes", "Memory of this process that is in RAM (Linux).";
    PROCESS_CPU "process_cpu_seconds_total" Counter [] "seconds", "Processor time this process has used (Linux).";
    PROCESS_OPEN_FDS "process_open_fds" Gauge [] "files", "Files and sockets this process has open (Linux).";
    PROCESS_START_TIME "process_start_time_seconds" Gauge [] "seconds", "When this process started, in seconds since 1970 (Linux).";
}

/// The metric called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}

/// Tells the recorder what every metric means, for the `HELP` lines of `/metrics`.
pub fn describe_all() {
    for metric in ALL {
        let unit = if metric.unit == "seconds" { Unit::Seconds } else { Unit::Count };
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, unit, metric.about),
            Kind::Gauge => describe_gauge!(metric.name, unit, metric.about),
            Kind::Histogram => describe_histogram!(metric.name, unit, metric.about),
        }
    }
}

/// Starts every counter that has only the label `queue` at 0 for `queue`, so that its first event is an increase that
/// an alert sees.
pub fn start_counters(queue: &str) {
    let of_queue = |metric: &&Metric| metric.kind == Kind::Counter && metric.labels == ["queue"];
    for metric in ALL.iter().filter(of_queue) {
        metrics::counter!(metric.name, "queue" => queue.to_owned()).increment(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_conventions() {
        for metric in ALL {
            assert!(metric.name.starts_with("operator_") || metric.name.starts_with("process_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            let in_seconds = metric.name.trim_end_matches("_total").ends_with("_seconds");
            assert_eq!(metric.unit == "seconds", in_seconds, "{}", metric.name);
        }
    }

    #[test]
    fn no_two_metrics_share_a_name() {
        let names: std::collections::HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
