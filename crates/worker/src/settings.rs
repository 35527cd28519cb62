//! What a worker process reads from its environment, all of it before anything starts.

use std::fmt::Write as _;
use std::time::Duration;

use operator_core::settings::{BadSettings, Reader, Source, Var, vars};
use operator_core::{Json, Keep, QueueName};
use operator_packs::SystemSettings;
use operator_packs::service::ServiceSettings;
use operator_queue::RedisConfig;
use operator_queue::worker::{RateLimit, WorkerOptions};
use operator_telemetry::{ListenSettings, TelemetrySettings};

use crate::PackSettings;

/// The variables a worker reads, in the order of the reference.
const READ: [&Var; 39] = [
    &vars::REDIS_URL,
    &vars::REDIS_CA,
    &vars::OPERATOR_PREFIX,
    &vars::QUEUE_NAME,
    &vars::WORKER_CONCURRENCY,
    &vars::OPERATOR_WORKER_NAME,
    &vars::JOB_TIMEOUT_MS,
    &vars::OPERATOR_CANCEL_GRACE_MS,
    &vars::OPERATOR_LOCK_DURATION_MS,
    &vars::OPERATOR_STALLED_INTERVAL_MS,
    &vars::OPERATOR_MAX_STALLED,
    &vars::OPERATOR_MAX_STARTED_ATTEMPTS,
    &vars::OPERATOR_RATE_LIMIT_MAX,
    &vars::OPERATOR_RATE_LIMIT_DURATION_MS,
    &vars::OPERATOR_METRICS_DATA_POINTS,
    &vars::OPERATOR_KEEP_COMPLETED,
    &vars::OPERATOR_KEEP_FAILED,
    &vars::OPERATOR_DRAIN_TIMEOUT_MS,
    &vars::OPERATOR_HISTORY,
    &vars::OPERATOR_HISTORY_MAX_ENTRIES,
    &vars::OPERATOR_HTTP_MAX_BODY_BYTES,
    &vars::OPERATOR_HTTP_CONNECT_TIMEOUT_MS,
    &vars::OPERATOR_HTTP_TIMEOUT_MS,
    &vars::OPERATOR_PUBLIC_URL,
    &vars::OPERATOR_PACKS,
    &vars::OPERATOR_SECRETS_DIR,
    &vars::OPERATOR_SANDBOX_TMP,
    &vars::OPERATOR_SANDBOX_READ,
    &vars::OPERATOR_SANDBOX_UIDS,
    &vars::OPERATOR_MAX_JOB_TYPES,
    &vars::HEALTH_PORT,
    &vars::OPERATOR_BIND,
    &vars::LOG_LEVEL,
    &vars::OPERATOR_LOG_FORMAT,
    &vars::ENVIRONMENT,
    &vars::APP_NAME,
    &vars::APP_VERSION,
    &vars::COMMIT_SHA,
    &vars::OTEL_EXPORTER_OTLP_ENDPOINT,
];

/// The checked settings of a worker process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the queues live.
    pub redis: RedisConfig,
    /// What it serves and how.
    pub options: WorkerOptions,
    /// How long running jobs may go on once it was told to stop.
    pub drain_timeout: Duration,
    /// The limits of the `system` pack.
    pub system: SystemSettings,
    /// What the services of packs share.
    pub services: ServiceSettings,
    /// What it runs besides.
    pub packs: PackSettings,
    /// Where its health server listens.
    pub listen: ListenSettings,
    /// What it logs and traces.
    pub telemetry: TelemetrySettings,
    /// The documented names of what was read under an older name, each with that name.
    pub older_names: Vec<(&'static str, &'static str)>,
}

impl Settings {
    /// Reads and checks every setting of a worker.
    ///
    /// # Errors
    /// [`BadSettings`] with everything that cannot be used.
    pub fn read(source: &dyn Source) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(source);
        let system = SystemSettings::read(&mut reader);
        let settings = Self {
            redis: RedisConfig::read(&mut reader),
            options: options(&mut reader),
            drain_timeout: ms(&mut reader, &vars::OPERATOR_DRAIN_TIMEOUT_MS, 20_000, 0),
            services: ServiceSettings::read(&mut reader, &system),
            system,
            packs: PackSettings::read(&mut reader),
            listen: ListenSettings::read(&mut reader, &vars::HEALTH_PORT, 9090),
            telemetry: TelemetrySettings::read(&mut reader),
            older_names: Vec::new(),
        };
        settings.redis.note_problems(&mut reader);
        let older_names = reader.older_names().to_vec();
        reader.finish()?;
        Ok(Self { older_names, ..settings })
    }

    /// The variables as `--help` shows them.
    #[must_use]
    pub fn help() -> String {
        let mut text = "Environment, each also as NAME_FILE with the path of a file that holds the value:\n".to_owned();
        for Var { name, default, about, .. } in READ {
            let _ = writeln!(text, "  {name}\n      {about} [default: {default}]");
        }
        text
    }
}

fn options(reader: &mut Reader<'_>) -> WorkerOptions {
    let max_entries = reader.number(&vars::OPERATOR_HISTORY_MAX_ENTRIES, 100_000, 1_000..=100_000_000);
    WorkerOptions {
        name: Some(reader.text(&vars::OPERATOR_WORKER_NAME).unwrap_or_else(default_name)),
        timeout: timeout(reader),
        cancel_grace: ms(reader, &vars::OPERATOR_CANCEL_GRACE_MS, 10_000, 1),
        lock_duration: ms(reader, &vars::OPERATOR_LOCK_DURATION_MS, 30_000, 1_000),
        stalled_interval: ms(reader, &vars::OPERATOR_STALLED_INTERVAL_MS, 30_000, 1_000),
        max_stalled: reader.number(&vars::OPERATOR_MAX_STALLED, 1, 0..=1_000),
        max_started_attempts: reader.optional_number(&vars::OPERATOR_MAX_STARTED_ATTEMPTS, 1..=1_000_000),
        limiter: limiter(reader),
        metrics_max_data_points: reader.optional_number(&vars::OPERATOR_METRICS_DATA_POINTS, 1..=100_000),
        keep_completed: keep(reader, &vars::OPERATOR_KEEP_COMPLETED),
        keep_failed: keep(reader, &vars::OPERATOR_KEEP_FAILED),
        history_max_entries: reader.switch(&vars::OPERATOR_HISTORY, true).then_some(max_entries),
        ..WorkerOptions::new(queues(reader))
    }
    .with_concurrency(reader.number(&vars::WORKER_CONCURRENCY, 10, 1..=10_000))
}

/// A week at most. The older names, whose values are in seconds, end with that word.
fn timeout(reader: &mut Reader<'_>) -> Option<Duration> {
    const WEEK_MS: u64 = 604_800_000;
    let var = &vars::JOB_TIMEOUT_MS;
    let given = reader.optional_number(var, 1..=WEEK_MS)?;
    let is_seconds = reader.older_names().iter().any(|(name, older)| *name == var.name && older.ends_with("_SECONDS"));
    if !is_seconds {
        return Some(Duration::from_millis(given));
    }
    if given > WEEK_MS / 1000 {
        reader.problem(var, format!("`{given}` is not a whole number of seconds from 1 to {}", WEEK_MS / 1000));
    }
    Some(Duration::from_secs(given))
}

/// The duration is read and checked also where there is no maximum.
fn limiter(reader: &mut Reader<'_>) -> Option<RateLimit> {
    let max = reader.optional_number(&vars::OPERATOR_RATE_LIMIT_MAX, 1..=1_000_000_000);
    let duration_ms = reader.number(&vars::OPERATOR_RATE_LIMIT_DURATION_MS, 1000, 1..=2_592_000_000);
    max.map(|max| RateLimit { max, duration: Duration::from_millis(duration_ms) })
}

/// What is kept of finished jobs. `true` and `false`, which mean the opposite of what they say in BullMQ's options, are no
/// answer to what is kept.
fn keep(reader: &mut Reader<'_>, var: &'static Var) -> Keep {
    let text = reader.text_or(var, var.default);
    let read = match text.as_str() {
        "all" => Some(Keep::All),
        "none" => Some(Keep::Nothing),
        "true" | "false" => None,
        other => Json::parse(other).ok().and_then(|json| json.decode().ok()),
    };
    read.unwrap_or_else(|| {
        let forms = "all, none, a number, or JSON such as {\"age\": 86400, \"count\": 1000} (seconds)";
        reader.problem(var, format!("`{text}` is not {forms}"));
        Keep::All
    })
}

fn queues(reader: &mut Reader<'_>) -> Vec<QueueName> {
    let text = reader.text_or(&vars::QUEUE_NAME, vars::QUEUE_NAME.default);
    let mut queues = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match QueueName::new(name) {
            Ok(queue) if queues.contains(&queue) => {}
            Ok(queue) => queues.push(queue),
            Err(problem) => reader.problem(&vars::QUEUE_NAME, problem),
        }
    }
    if text.split(',').all(|name| name.trim().is_empty()) {
        reader.problem(&vars::QUEUE_NAME, format!("`{text}` names no queue"));
    }
    queues
}

/// A duration in milliseconds, an hour at most.
fn ms(reader: &mut Reader<'_>, var: &'static Var, default: u64, least: u64) -> Duration {
    Duration::from_millis(reader.number(var, default, least..=3_600_000))
}

/// The host and the process: unique where it is read, and enough to find the log.
fn default_name() -> String {
    format!("{}-{}", host_name(), std::process::id())
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    "worker".to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::{BTreeSet, HashMap};

    use operator_core::KeepLimits;

    use super::*;

    fn read(vars: &[(&'static str, &'static str)]) -> Result<Settings, BadSettings> {
        Settings::read(&vars.iter().copied().collect::<HashMap<_, _>>())
    }

    #[test]
    fn nothing_set_means_what_the_reference_says() {
        let settings = read(&[]).unwrap();
        let defaults = WorkerOptions::new([QueueName::new("default").unwrap()]);
        let options = &settings.options;
        assert_eq!((&options.queues, options.concurrency), (&defaults.queues, 10));
        assert_eq!(
            (options.lock_duration, options.stalled_interval),
            (defaults.lock_duration, defaults.stalled_interval)
        );
        assert_eq!((options.keep_completed, options.keep_failed), (defaults.keep_completed, defaults.keep_failed));
        assert_eq!((options.max_stalled, options.history_max_entries), (1, Some(100_000)));
        assert_eq!((options.timeout, options.cancel_grace), (None, Duration::from_secs(10)));
        let unlimited = (options.limiter, options.max_started_attempts, options.metrics_max_data_points);
        assert_eq!(unlimited, (None, None, None));
        assert_eq!((settings.drain_timeout, settings.listen.port), (Duration::from_secs(20), 9090));
        assert_eq!((settings.redis.url.expose(), settings.redis.prefix.as_str()), ("redis://127.0.0.1:6379", "bull"));
        assert!(options.name.as_deref().unwrap().ends_with(&format!("-{}", std::process::id())));
    }

    #[test]
    fn what_is_kept_of_finished_jobs_is_set_without_code() {
        let kept = |text| read(&[("OPERATOR_KEEP_COMPLETED", text)]).map(|settings| settings.options.keep_completed);
        let week = KeepLimits { age_s: Some(604_800), count: Some(50), limit: None };
        for (text, keep) in [
            ("all", Keep::All),
            ("none", Keep::Nothing),
            ("0", Keep::Nothing),
            ("1000", Keep::count(1000)),
            (r#"{"age": 604800, "count": 50}"#, Keep::Limited(week)),
        ] {
            assert_eq!(kept(text).unwrap(), keep, "{text}");
        }
        let failed = read(&[("OPERATOR_KEEP_FAILED", "7")]).unwrap().options;
        assert_eq!((failed.keep_completed, failed.keep_failed), (Keep::All, Keep::count(7)));
        for bad in ["true", "false", "-3", "some", r#"{"days":1}"#] {
            let problem = kept(bad).unwrap_err().to_string();
            assert!(problem.contains("OPERATOR_KEEP_COMPLETED") && problem.contains("age"), "{problem}");
        }
    }

    #[test]
    fn limits_are_set_without_code() {
        let limit = |ms| Some(RateLimit { max: 5, duration: Duration::from_millis(ms) });
        assert_eq!(read(&[("OPERATOR_RATE_LIMIT_MAX", "5")]).unwrap().options.limiter, limit(1000));
        let vars = [
            ("OPERATOR_RATE_LIMIT_MAX", "5"),
            ("OPERATOR_RATE_LIMIT_DURATION_MS", "250"),
            ("OPERATOR_MAX_STARTED_ATTEMPTS", "7"),
            ("OPERATOR_METRICS_DATA_POINTS", "20160"),
        ];
        let options = read(&vars).unwrap().options;
        assert_eq!(options.limiter, limit(250));
        assert_eq!((options.max_started_attempts, options.metrics_max_data_points), (Some(7), Some(20_160)));
    }

    /// Remembers what it was asked for.
    #[derive(Default)]
    struct Asked(RefCell<BTreeSet<String>>);

    impl Source for Asked {
        fn get(&self, name: &str) -> Result<Option<String>, String> {
            self.0.borrow_mut().insert(name.to_owned());
            Ok(None)
        }
    }

    #[test]
    fn the_help_lists_exactly_what_is_read() {
        let asked = Asked::default();
        Settings::read(&asked).unwrap();
        let listed = READ.iter().flat_map(|var| std::iter::once(&var.name).chain(var.older));
        assert_eq!(*asked.0.borrow(), listed.map(ToString::to_string).collect());
        assert!(READ.iter().all(|var| Settings::help().contains(var.name)));
    }

    #[test]
    fn queues_are_separated_by_commas_and_named_once() {
        let settings = read(&[("QUEUE_NAME", " mail, ,billing,mail"), ("OPERATOR_HISTORY", "off")]).unwrap();
        let names: Vec<_> = settings.options.queues.iter().map(QueueName::as_str).collect();
        assert_eq!((names, settings.options.history_max_entries), (vec!["mail", "billing"], None));
    }

    #[test]
    fn every_bad_setting_is_reported_at_once_and_no_password() {
        let bad = [
            ("REDIS_URL", "http://:hunter2@db"),
            ("OPERATOR_PREFIX", "a b"),
            ("QUEUE_NAME", "a:b"),
            ("WORKER_CONCURRENCY", "0"),
            ("OPERATOR_LOCK_DURATION_MS", "999"),
            ("JOB_TIMEOUT_MS", "0"),
            ("OPERATOR_CANCEL_GRACE_MS", "0"),
            ("OPERATOR_STALLED_INTERVAL_MS", "soon"),
            ("OPERATOR_MAX_STALLED", "-1"),
            ("OPERATOR_MAX_STARTED_ATTEMPTS", "0"),
            ("OPERATOR_RATE_LIMIT_MAX", "0"),
            ("OPERATOR_RATE_LIMIT_DURATION_MS", "1s"),
            ("OPERATOR_METRICS_DATA_POINTS", "100001"),
            ("OPERATOR_DRAIN_TIMEOUT_MS", "3600001"),
            ("OPERATOR_HISTORY", "maybe"),
            ("OPERATOR_HISTORY_MAX_ENTRIES", "1"),
            ("OPERATOR_HTTP_TIMEOUT_MS", "0"),
            ("OPERATOR_PUBLIC_URL", "operator.example.com"),
            ("HEALTH_PORT", "70000"),
            ("OPERATOR_BIND", "everywhere"),
            ("LOG_LEVEL", "verbose"),
        ];
        let problems = read(&bad).unwrap_err().problems;
        assert_eq!(problems.len(), bad.len(), "{problems:#?}");
        for (name, _) in bad {
            assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name}: {problems:#?}");
        }
        assert!(!format!("{problems:?}").contains("hunter2"));
        assert!(read(&[("QUEUE_NAME", " , ")]).unwrap_err().problems[0].contains("names no queue"));
    }

    #[test]
    fn the_older_names_of_the_timeout_are_in_seconds() {
        let timeout = |name, value| read(&[(name, value)]).map(|settings| settings.options.timeout);
        assert_eq!(timeout("JOB_TIMEOUT_MS", "1500").unwrap(), Some(Duration::from_millis(1500)));
        assert_eq!(timeout("JOB_TIMEOUT_SECONDS", "30").unwrap(), Some(Duration::from_secs(30)));
        assert_eq!(timeout("BR_OS_OPERATOR_DEFAULT_TIMEOUT_SECONDS", "7").unwrap(), Some(Duration::from_secs(7)));
        assert!(timeout("JOB_TIMEOUT_SECONDS", "604801").unwrap_err().to_string().contains("seconds"));
    }

    #[test]
    fn older_names_are_remembered() {
        let settings = read(&[("BR_OS_QUEUE_URL", "redis://old"), ("MAX_CONCURRENT_JOBS", "7")]).unwrap();
        assert_eq!((settings.redis.url.expose(), settings.options.concurrency), ("redis://old", 7));
        assert_eq!(
            settings.older_names,
            [("REDIS_URL", "BR_OS_QUEUE_URL"), ("WORKER_CONCURRENCY", "MAX_CONCURRENT_JOBS")]
        );
    }
}
