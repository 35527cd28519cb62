//! The dispatcher as a process: settings, telemetry, build, run, exit code.

use operator_core::settings::Reader;
use operator_dispatcher::{Dispatcher, Settings, StartError};
use operator_telemetry::{Exit, LogStream, ProcessEnv, TelemetrySettings, init, log_older_names};

#[tokio::main]
async fn main() -> Exit {
    let mut reader = Reader::new(&ProcessEnv);
    let about = TelemetrySettings::read(&mut reader);
    let settings = Settings::read(&mut reader);
    let older_names = reader.older_names().to_vec();
    let telemetry = match reader
        .finish()
        .map_err(|bad| bad.to_string())
        .and_then(|()| init(&about, "operator-dispatcher", LogStream::Stdout).map_err(|error| error.to_string()))
    {
        Ok(telemetry) => telemetry,
        Err(problem) => return refuse(&problem),
    };
    log_older_names(&older_names);
    let exit = match Dispatcher::build(&settings, telemetry.identity.clone(), telemetry.metrics.clone()).await {
        Ok(dispatcher) => dispatcher.run_until_signalled().await,
        Err(error) => report(&error),
    };
    telemetry.shutdown().await;
    exit
}

#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn refuse(problem: &str) -> Exit {
    eprintln!("{problem}");
    Exit::Config
}

fn report(error: &StartError) -> Exit {
    tracing::error!(%error, "failed to start");
    error.exit()
}
