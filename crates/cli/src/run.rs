//! From the command line to the command: settings, logs, the connection.

use std::time::Duration;

use operator_core::settings::{Reader, vars};
use operator_queue::{Queue, Redis, RedisConfig};
use operator_telemetry::{LogFormat, LogStream, ProcessEnv, TelemetrySettings, init, log_older_names};

use crate::arguments::{Arguments, Command, PackCommand, QueueCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::{change, enqueue, flow, health, inspect, limits, many, pack, schedulers};

/// Someone is waiting at a terminal: an unreachable Redis is said soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What every command has at hand.
pub(crate) struct Session {
    pub(crate) redis: Redis,
    pub(crate) output: Output,
    /// The largest job data accepted, in bytes.
    max_data_bytes: u64,
}

impl Session {
    /// A handle on the queue called `name`.
    pub(crate) fn queue(&self, name: &operator_core::QueueName) -> Queue {
        Queue::new(&self.redis, name.clone()).with_max_data_bytes(self.max_data_bytes)
    }

    /// The largest job data accepted, in bytes.
    pub(crate) fn max_data_bytes(&self) -> u64 {
        self.max_data_bytes
    }
}

/// Does what the command line asks for.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = Output::new(arguments.json);
    match arguments.command {
        Command::Queues(command) => on_queues(command, output).await,
        Command::Pack(PackCommand::List) => on_queues(QueueCommand::Packs, output).await,
        Command::Pack(PackCommand::Check { folder }) => pack::check(&folder, &output),
        Command::Pack(PackCommand::Schema) => pack::schema(),
        Command::Health { url } => health::run(url.as_ref(), Reader::new(&ProcessEnv), &output).await,
    }
}

async fn on_queues(command: QueueCommand, output: Output) -> Result<(), Failure> {
    let mut reader = Reader::new(&ProcessEnv);
    let telemetry = telemetry_settings(&mut reader);
    let config = RedisConfig { connect_timeout: CONNECT_TIMEOUT, ..RedisConfig::read(&mut reader) };
    let max_data_bytes = reader.number(&vars::OPERATOR_MAX_DATA_BYTES, 1024 * 1024, 1..=256 * 1024 * 1024);
    let older_names = reader.older_names().to_vec();
    reader.finish()?;

    let telemetry =
        init(&telemetry, "operator", LogStream::Stderr).map_err(|error| Failure::Setup(error.to_string()))?;
    log_older_names(&older_names);
    let redis = Redis::connect(&config).await?;
    let session = Session { redis, output, max_data_bytes };
    let result = perform(&session, command).await;
    session.redis.close().await;
    telemetry.shutdown().await;
    result
}

/// A command is quiet unless asked: only warnings, as text.
fn telemetry_settings(reader: &mut Reader<'_>) -> TelemetrySettings {
    let mut settings = TelemetrySettings::read(reader);
    if reader.text(&vars::LOG_LEVEL).is_none() {
        settings.log_filter = "warn".to_owned();
    }
    settings.log_format = settings.log_format.or(Some(LogFormat::Text));
    settings
}

async fn perform(session: &Session, command: QueueCommand) -> Result<(), Failure> {
    match command {
        QueueCommand::Enqueue(arguments) => enqueue::run(session, arguments).await,
        QueueCommand::Packs => pack::list(session).await,
        QueueCommand::Queues => inspect::queues(session).await,
        QueueCommand::Jobs(arguments) => inspect::jobs(session, &arguments).await,
        QueueCommand::Job { queue, id } => inspect::job(session, &queue, &id).await,
        QueueCommand::Cancel(arguments) => change::cancel(session, &arguments).await,
        QueueCommand::Retry(arguments) => change::retry(session, &arguments).await,
        QueueCommand::Flow { file } => flow::run(session, &file).await,
        QueueCommand::Promote(arguments) => change::promote(session, &arguments).await,
        QueueCommand::Drain(arguments) => many::drain(session, &arguments).await,
        QueueCommand::Clean(arguments) => many::clean(session, &arguments).await,
        QueueCommand::Obliterate(arguments) => many::obliterate(session, &arguments).await,
        QueueCommand::Schedulers(command) => schedulers::run(session, command).await,
        QueueCommand::Limits(arguments) => limits::run(session, &arguments).await,
        QueueCommand::Remove(chosen) => change::remove(session, &chosen).await,
        QueueCommand::Pause { queue } => change::pause(session, &queue).await,
        QueueCommand::Resume { queue } => change::resume(session, &queue).await,
    }
}
