//! What a dispatcher is told by its environment, checked. What a URL is worth shows when it is used, in `start`.

use std::time::Duration;

use operator_core::settings::{Reader, Secret, vars};
use operator_queue::RedisConfig;
use operator_store::StoreConfig;
use operator_telemetry::ListenSettings;

/// How long a command to Redis may take. Whoever asks over HTTP is told soon that Redis is away, and asks again.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything a dispatcher is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: ListenSettings,
    /// Where the queues are.
    pub redis: RedisConfig,
    /// Where the history is.
    pub store: StoreConfig,
    /// What it accepts over HTTP.
    pub api: ApiSettings,
    /// How often it looks for queues and for finished jobs that nobody recorded.
    pub archive_interval: Duration,
}

/// What the API accepts, and from whom.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The key every request must carry; without one the API is open.
    pub key: Option<Secret>,
    /// The largest data of one job, in bytes.
    pub max_data_bytes: u64,
    /// The most jobs in one request.
    pub max_bulk_jobs: usize,
    /// The longest that one request waits for a job to finish.
    pub max_wait: Duration,
    /// How many may listen to events at a time; each costs a connection to Redis.
    pub max_event_streams: usize,
    /// What becomes of a job whose name no worker ever provided.
    pub unknown_jobs: UnknownJobs,
    /// For how long what was read of a job type is relied on.
    pub catalogue_max_age: Duration,
}

/// What becomes of a job whose name no worker of ours ever provided. BullMQ's workers do not say what they run, so a name
/// of theirs is one of these, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownJobs {
    /// It is not added.
    Refuse,
    /// It is added, and the answer, the log and a counter say so.
    Warn,
    /// It is added.
    Allow,
}

impl Settings {
    /// Reads the settings; what is wrong with them is left in `reader`.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let database = reader.text_or(&vars::DATABASE_URL, vars::DATABASE_URL.default);
        let connections = reader.number(&vars::OPERATOR_DATABASE_CONNECTIONS, 8, 1..=200);
        let interval_ms = reader.number(&vars::OPERATOR_ARCHIVE_INTERVAL_MS, 5000u64, 100..=3_600_000);
        // Below the time limit of a request.
        let max_wait_ms = reader.number(&vars::OPERATOR_MAX_WAIT_MS, 20_000, 1..=25_000);
        let max_age_ms = reader.number(&vars::OPERATOR_CATALOGUE_MAX_AGE_MS, 5000, 0..=3_600_000);
        Self {
            listen: ListenSettings::read(reader, &vars::PORT, 8080),
            redis: RedisConfig { command_timeout: COMMAND_TIMEOUT, ..RedisConfig::read(reader) },
            store: StoreConfig::new(Secret::new(database), connections),
            api: ApiSettings {
                key: reader.secret(&vars::OPERATOR_API_KEY),
                max_data_bytes: reader.number(&vars::OPERATOR_MAX_DATA_BYTES, 1_048_576, 1..=268_435_456),
                max_bulk_jobs: reader.number(&vars::OPERATOR_MAX_BULK_JOBS, 1000, 1..=100_000),
                max_wait: Duration::from_millis(max_wait_ms),
                max_event_streams: reader.number(&vars::OPERATOR_MAX_EVENT_STREAMS, 100, 0..=10_000),
                unknown_jobs: unknown_jobs(reader),
                catalogue_max_age: Duration::from_millis(max_age_ms),
            },
            archive_interval: Duration::from_millis(interval_ms),
        }
    }
}

fn unknown_jobs(reader: &mut Reader<'_>) -> UnknownJobs {
    let var = &vars::OPERATOR_UNKNOWN_JOBS;
    match reader.text_or(var, var.default).as_str() {
        "refuse" => UnknownJobs::Refuse,
        "warn" => UnknownJobs::Warn,
        "allow" => UnknownJobs::Allow,
        other => {
            reader.problem(var, format!("`{other}` is not refuse, warn or allow"));
            UnknownJobs::Warn
        }
    }
}

#[cfg(test)]
impl ApiSettings {
    /// The defaults.
    pub(crate) fn for_tests() -> Self {
        Settings::read(&mut Reader::new(&std::collections::HashMap::new())).api
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let source = HashMap::from([
            ("PORT", "http"),
            ("OPERATOR_BIND", "everywhere"),
            ("OPERATOR_DATABASE_CONNECTIONS", "0"),
            ("OPERATOR_MAX_DATA_BYTES", "1MB"),
            ("OPERATOR_MAX_BULK_JOBS", "100001"),
            ("OPERATOR_ARCHIVE_INTERVAL_MS", "99"),
            ("OPERATOR_MAX_WAIT_MS", "25001"),
            ("OPERATOR_MAX_EVENT_STREAMS", "many"),
            ("OPERATOR_UNKNOWN_JOBS", "perhaps"),
            ("OPERATOR_CATALOGUE_MAX_AGE_MS", "-1"),
        ]);
        let mut reader = Reader::new(&source);
        Settings::read(&mut reader);
        let problems = reader.finish().unwrap_err().problems;
        assert_eq!(problems.len(), source.len(), "{problems:?}");
        for name in source.keys() {
            assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name}: {problems:?}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_reference() {
        let source = HashMap::new();
        let mut reader = Reader::new(&source);
        let settings = Settings::read(&mut reader);
        reader.finish().unwrap();
        assert_eq!((settings.listen.port, settings.redis.prefix.as_str()), (8080, "bull"));
        assert_eq!(settings.redis.url.expose(), "redis://127.0.0.1:6379");
        let number = |text: &str| text.parse::<u64>().unwrap();
        assert_eq!(u64::from(settings.store.max_connections), number(vars::OPERATOR_DATABASE_CONNECTIONS.default));
        assert_eq!(settings.api.max_data_bytes, number(vars::OPERATOR_MAX_DATA_BYTES.default));
        assert_eq!(settings.api.max_bulk_jobs as u64, number(vars::OPERATOR_MAX_BULK_JOBS.default));
        assert_eq!(settings.archive_interval.as_millis().to_string(), vars::OPERATOR_ARCHIVE_INTERVAL_MS.default);
        assert_eq!(settings.api.max_wait.as_millis().to_string(), vars::OPERATOR_MAX_WAIT_MS.default);
        assert_eq!(settings.api.max_event_streams as u64, number(vars::OPERATOR_MAX_EVENT_STREAMS.default));
        assert_eq!(settings.api.unknown_jobs, UnknownJobs::Warn);
        assert_eq!(settings.api.catalogue_max_age.as_millis().to_string(), vars::OPERATOR_CATALOGUE_MAX_AGE_MS.default);
        assert!(settings.api.key.is_none());
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let source = HashMap::from([("OPERATOR_API_KEY", "hunter2"), ("DATABASE_URL", "postgres://u:hunter2@h/d")]);
        let settings = Settings::read(&mut Reader::new(&source));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
