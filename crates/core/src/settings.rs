//! The environment variables Operator reads, and a reader that reports every bad one at once.
//!
//! Each binary asks a [`Reader`] for the [`Var`]s it needs and then calls [`Reader::finish`]. Reading the process
//! environment and `NAME_FILE` secrets is I/O and lives in the telemetry crate; tests pass a map.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

/// One environment variable: its name, the older names it is also read from, and what it means.
#[derive(Debug, PartialEq, Eq)]
pub struct Var {
    /// The documented name.
    pub name: &'static str,
    /// Names that are read, in order, when the first is absent.
    pub older: &'static [&'static str],
    /// The default as text, or what happens without it.
    pub default: &'static str,
    /// One sentence for `.env.example` and the reference.
    pub about: &'static str,
}

macro_rules! vars {
    ($($ident:ident $name:literal $([$($older:literal),*])? = $default:literal, $about:literal;)*) => {
        $(#[doc = $about] pub const $ident: Var = Var {
            name: $name, older: &[$($($older),*)?], default: $default, about: $about,
        };)*
        /// Every variable, in the order of the reference.
        pub const ALL: &[&Var] = &[$(&$ident),*];
    };
}

/// The variables, in the order of `.env.example`.
pub mod vars {
    use super::Var;

    vars! {
        REDIS_URL "REDIS_URL" ["BR_OS_QUEUE_URL"] = "redis://127.0.0.1:6379", "Where the queues live: redis://, rediss:// (TLS), redis-sentinel:// or redis-cluster://, with user, password and database number.";
        REDIS_CA "REDIS_CA" = "none: the system's authorities", "Certificates in PEM of authorities trusted beside the system's when Redis speaks TLS; mostly given as REDIS_CA_FILE.";
        OPERATOR_PREFIX "OPERATOR_PREFIX" = "bull", "The first segment of every key; BullMQ's default is bull.";
        QUEUE_NAME "QUEUE_NAME" = "default", "The queues a worker serves, separated by commas.";
        WORKER_CONCURRENCY "WORKER_CONCURRENCY" ["MAX_CONCURRENT_JOBS", "BR_OS_OPERATOR_MAX_CONCURRENCY"] = "10", "How many jobs one worker process runs at a time, 1 to 10000.";
        OPERATOR_WORKER_NAME "OPERATOR_WORKER_NAME" = "the host name and process id", "The name under which a worker is listed and recorded.";
        JOB_TIMEOUT_MS "JOB_TIMEOUT_MS" ["JOB_TIMEOUT_SECONDS", "BR_OS_OPERATOR_DEFAULT_TIMEOUT_SECONDS"] = "none: an attempt may run for ever", "How long one attempt may run of a job that does not say itself, 1 to 604800000; the older names are in seconds.";
        OPERATOR_CANCEL_GRACE_MS "OPERATOR_CANCEL_GRACE_MS" = "10000", "How long a job that was cancelled or passed a time limit may take to stop before it is dropped, 1 to 3600000.";
        OPERATOR_LOCK_DURATION_MS "OPERATOR_LOCK_DURATION_MS" = "30000", "How long a claim holds without renewal, 1000 to 3600000; renewed at a quarter of it.";
        OPERATOR_STALLED_INTERVAL_MS "OPERATOR_STALLED_INTERVAL_MS" = "30000", "How often the workers of a queue look for jobs whose worker died, 1000 to 3600000.";
        OPERATOR_MAX_STALLED "OPERATOR_MAX_STALLED" = "1", "How often a job may lose its worker before it fails, 0 to 1000.";
        OPERATOR_MAX_STARTED_ATTEMPTS "OPERATOR_MAX_STARTED_ATTEMPTS" = "none: only attempts that end are counted", "How often a job may be started, however its attempts end, before it fails, 1 to 1000000.";
        OPERATOR_RATE_LIMIT_MAX "OPERATOR_RATE_LIMIT_MAX" = "none: jobs start as fast as slots are free", "How many jobs of a queue may start within OPERATOR_RATE_LIMIT_DURATION_MS, over all its workers, 1 to 1000000000; a limit of the queue's own goes before.";
        OPERATOR_RATE_LIMIT_DURATION_MS "OPERATOR_RATE_LIMIT_DURATION_MS" = "1000", "The stretch of time of OPERATOR_RATE_LIMIT_MAX, 1 to 2592000000.";
        OPERATOR_METRICS_DATA_POINTS "OPERATOR_METRICS_DATA_POINTS" = "none: finished jobs are not counted by the minute", "For how many minutes finished jobs are counted in BullMQ's metrics, 1 to 100000; two weeks are 20160.";
        OPERATOR_KEEP_COMPLETED "OPERATOR_KEEP_COMPLETED" = "all", "Which of a queue's completed jobs stay in Redis unless they say themselves: all, none, how many of the newest, or JSON such as {\"age\": seconds, \"count\": n}.";
        OPERATOR_KEEP_FAILED "OPERATOR_KEEP_FAILED" = "all", "Which of a queue's failed jobs stay in Redis unless they say themselves, in the same forms.";
        OPERATOR_DRAIN_TIMEOUT_MS "OPERATOR_DRAIN_TIMEOUT_MS" = "20000", "How long a worker that was told to stop lets running jobs finish before it hands them back, 0 to 3600000.";
        OPERATOR_HISTORY "OPERATOR_HISTORY" = "on", "on or off: whether a worker leaves the record of each finished job for the dispatchers to store.";
        OPERATOR_HISTORY_MAX_ENTRIES "OPERATOR_HISTORY_MAX_ENTRIES" = "100000", "How many batches of records may wait in Redis per queue while the database is away; beyond it the oldest are dropped, 1000 to 100000000.";
        OPERATOR_HTTP_MAX_BODY_BYTES "OPERATOR_HTTP_MAX_BODY_BYTES" = "65536", "How much of a response body system.http keeps in its result, 0 to 16777216.";
        OPERATOR_HTTP_CONNECT_TIMEOUT_MS "OPERATOR_HTTP_CONNECT_TIMEOUT_MS" = "5000", "How long system.http and calls of services wait for a connection, name look-up and TLS included, 1 to 600000.";
        OPERATOR_HTTP_TIMEOUT_MS "OPERATOR_HTTP_TIMEOUT_MS" = "30000", "How long one system.http attempt or one call of a service may take in all, redirects and body included, 1 to 3600000.";
        OPERATOR_PUBLIC_URL "OPERATOR_PUBLIC_URL" = "none", "The URL under which services reach the dispatcher: a service that takes a job over calls back there.";
        OPERATOR_PACKS "OPERATOR_PACKS" = "./packs, which need not be there", "The packs a worker loads: folders, separated by commas, each a pack or a folder of packs.";
        OPERATOR_SANDBOX_TMP "OPERATOR_SANDBOX_TMP" = "the system's folder for temporary files", "Where commands get the folder that each of them has of its own.";
        OPERATOR_SANDBOX_READ "OPERATOR_SANDBOX_READ" = "none: the system's programs and libraries alone", "Absolute paths, separated by colons, that every command may read and execute besides the system's: interpreters in unusual places.";
        OPERATOR_SANDBOX_UIDS "OPERATOR_SANDBOX_UIDS" = "59000-59999", "The range of user ids that commands run as, each as another one, where the worker runs as root; off runs them as the worker's own user.";
        OPERATOR_SECRETS_DIR "OPERATOR_SECRETS_DIR" = "none: secrets come from the environment alone", "A folder of secrets for packs, one file each, called as the secret is.";
        OPERATOR_MAX_JOB_TYPES "OPERATOR_MAX_JOB_TYPES" = "10000", "How many job types are remembered in Redis after their workers are gone; a worker records no new ones beyond it, 1 to 1000000.";
        HEALTH_PORT "HEALTH_PORT" = "9090", "The port of a worker's health and metrics server; 0 picks a free one.";
        PORT "PORT" = "8080", "The port of the dispatcher; 0 picks a free one.";
        OPERATOR_BIND "OPERATOR_BIND" = "[::]", "The address both servers listen on; `[::]` takes IPv4 too.";
        DATABASE_URL "DATABASE_URL" ["DB_URL"] = "sqlite://operator.db", "Where results and history are kept: postgres:// or sqlite://.";
        OPERATOR_DATABASE_CONNECTIONS "OPERATOR_DATABASE_CONNECTIONS" = "8", "The most connections one dispatcher opens to the database, 1 to 200.";
        OPERATOR_MAX_DATA_BYTES "OPERATOR_MAX_DATA_BYTES" = "1048576", "The largest job data accepted, in bytes, 1 to 268435456.";
        OPERATOR_MAX_BULK_JOBS "OPERATOR_MAX_BULK_JOBS" = "1000", "The most jobs one request may add, 1 to 100000.";
        OPERATOR_MAX_WAIT_MS "OPERATOR_MAX_WAIT_MS" = "20000", "The longest that one request may wait for a job to finish, 1 to 25000.";
        OPERATOR_MAX_EVENT_STREAMS "OPERATOR_MAX_EVENT_STREAMS" = "100", "How many may listen to events on one dispatcher at a time, 0 to 10000; each costs a connection to Redis.";
        OPERATOR_UNKNOWN_JOBS "OPERATOR_UNKNOWN_JOBS" = "warn", "What becomes of a job whose name no worker of ours ever provided: refuse, warn (add it and say so) or allow.";
        OPERATOR_CATALOGUE_MAX_AGE_MS "OPERATOR_CATALOGUE_MAX_AGE_MS" = "5000", "For how long a dispatcher relies on what it last read of a job type, 0 to 3600000.";
        OPERATOR_ARCHIVE_INTERVAL_MS "OPERATOR_ARCHIVE_INTERVAL_MS" = "5000", "How often a dispatcher looks for finished jobs that nobody recorded and for new queues, 100 to 3600000.";
        OPERATOR_API_KEY "OPERATOR_API_KEY" = "none: the API is open", "The key every API request must carry, as x-api-key or Authorization: Bearer.";
        LOG_LEVEL "LOG_LEVEL" ["RUST_LOG"] = "info", "What is logged: error, warn, info, debug, trace, or a filter such as operator_queue=debug,info.";
        OPERATOR_LOG_FORMAT "OPERATOR_LOG_FORMAT" = "text on a terminal, json elsewhere", "text or json.";
        ENVIRONMENT "ENVIRONMENT" ["BR_OS_ENV", "OPERATOR_ENV"] = "development", "The name of the environment, reported by /version.";
        APP_NAME "APP_NAME" = "the name of the binary", "The name of the service, reported by /version and in traces.";
        APP_VERSION "APP_VERSION" = "the version of the package", "The version reported by /version.";
        COMMIT_SHA "COMMIT_SHA" ["RAILWAY_GIT_COMMIT_SHA"] = "unknown", "The commit reported by /version.";
        OTEL_EXPORTER_OTLP_ENDPOINT "OTEL_EXPORTER_OTLP_ENDPOINT" = "none: no traces are sent", "Where traces are sent, OTLP over HTTP.";
    }
}

/// Where values come from: the process environment, or a map in tests.
pub trait Source {
    /// The value of the variable called `name`, if it is set.
    ///
    /// # Errors
    /// When it is set but cannot be read, for instance a secret's file that is missing.
    fn get(&self, name: &str) -> Result<Option<String>, String>;
}

impl Source for HashMap<&str, &str> {
    fn get(&self, name: &str) -> Result<Option<String>, String> {
        Ok(HashMap::get(self, name).map(|value| (*value).to_owned()))
    }
}

/// A value that never shows itself in logs or errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Every setting that could not be used, with what to do about each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("settings are not usable: {}", .problems.join("; "))]
pub struct BadSettings {
    /// One sentence each, naming the variable and the remedy. Values of secrets do not appear.
    pub problems: Vec<String>,
}

/// Reads variables, remembers what was wrong with them and which older names were used.
pub struct Reader<'a> {
    source: &'a dyn Source,
    problems: Vec<String>,
    older_names: Vec<(&'static str, &'static str)>,
}

impl<'a> Reader<'a> {
    /// A reader of `source`.
    #[must_use]
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, problems: Vec::new(), older_names: Vec::new() }
    }

    /// The text of `var`, if it or one of its older names is set and not blank.
    pub fn text(&mut self, var: &'static Var) -> Option<String> {
        for name in std::iter::once(&var.name).chain(var.older) {
            match self.source.get(name) {
                Ok(Some(value)) if !value.trim().is_empty() => {
                    if *name != var.name {
                        self.older_names.push((var.name, name));
                    }
                    return Some(value.trim().to_owned());
                }
                Ok(_) => {}
                Err(problem) => self.problems.push(format!("{name}: {problem}")),
            }
        }
        None
    }

    /// The text of `var`, or `default`.
    pub fn text_or(&mut self, var: &'static Var, default: &str) -> String {
        self.text(var).unwrap_or_else(|| default.to_owned())
    }

    /// A value that must not be shown.
    pub fn secret(&mut self, var: &'static Var) -> Option<Secret> {
        self.text(var).map(Secret::new)
    }

    /// A number within `range`, or `default`.
    pub fn number<N>(&mut self, var: &'static Var, default: N, range: RangeInclusive<N>) -> N
    where
        N: FromStr + PartialOrd + Display + Copy,
    {
        self.optional_number(var, range).unwrap_or(default)
    }

    /// A number within `range`, if there is one.
    pub fn optional_number<N>(&mut self, var: &'static Var, range: RangeInclusive<N>) -> Option<N>
    where
        N: FromStr + PartialOrd + Display + Copy,
    {
        let text = self.text(var)?;
        let number = text.parse::<N>().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            self.problem(var, format!("`{text}` is not a whole number from {low} to {high}"));
        }
        number
    }

    /// `on` or `off` (also true, false, 1, 0, yes, no), or `default`.
    pub fn switch(&mut self, var: &'static Var, default: bool) -> bool {
        let Some(text) = self.text(var) else { return default };
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "1" | "yes" => true,
            "off" | "false" | "0" | "no" => false,
            _ => {
                self.problem(var, format!("`{text}` is neither on nor off"));
                default
            }
        }
    }

    /// Notes that the value of `var` cannot be used.
    pub fn problem(&mut self, var: &'static Var, problem: impl Display) {
        self.problems.push(format!("{}: {problem}", var.name));
    }

    /// The older names that were read, each after the documented one it stands for.
    #[must_use]
    pub fn older_names(&self) -> &[(&'static str, &'static str)] {
        &self.older_names
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`BadSettings`] with every problem met.
    pub fn finish(self) -> Result<(), BadSettings> {
        if self.problems.is_empty() { Ok(()) } else { Err(BadSettings { problems: self.problems }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let source = HashMap::from([("PORT", "99999"), ("WORKER_CONCURRENCY", "many"), ("OPERATOR_HISTORY", "maybe")]);
        let mut reader = Reader::new(&source);
        assert_eq!(reader.number(&vars::PORT, 8080u16, 0..=u16::MAX), 8080);
        assert_eq!(reader.number(&vars::WORKER_CONCURRENCY, 10u32, 1..=10_000), 10);
        assert!(reader.switch(&vars::OPERATOR_HISTORY, true));
        let text = reader.finish().unwrap_err().to_string();
        for name in ["PORT", "WORKER_CONCURRENCY", "OPERATOR_HISTORY"] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn an_older_name_serves_when_the_documented_one_is_absent() {
        let source = HashMap::from([("BR_OS_QUEUE_URL", "redis://old"), ("DB_URL", "x"), ("DATABASE_URL", "y")]);
        let mut reader = Reader::new(&source);
        assert_eq!(reader.text(&vars::REDIS_URL).as_deref(), Some("redis://old"));
        assert_eq!(reader.text(&vars::DATABASE_URL).as_deref(), Some("y"));
        assert_eq!(reader.older_names(), [("REDIS_URL", "BR_OS_QUEUE_URL")]);
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }
}
