//! A worker process from start to end: settings, logs, health server, worker, signals, exit code.
//!
//! What can be wrong with this machine or its settings is found before a job is claimed.

use std::time::Duration;

use operator_packs::Registry;
use operator_telemetry::{
    Exit, HealthServer, HealthState, LogStream, ProcessEnv, Signals, Telemetry, init, log_older_names,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::health::{Vitals, state};
use crate::{Drained, Settings, WorkerBuilder, WorkerError};

/// Runs a worker process until a signal ends it. The environment configures it; `register` adds job types to those of
/// the `system` pack. `service` names the process in logs and traces unless `APP_NAME` does.
///
/// SIGTERM or SIGINT lets running jobs finish for `OPERATOR_DRAIN_TIMEOUT_MS` and hands back the rest; a second signal
/// ends the process at once.
#[must_use]
pub fn run(service: &str, register: impl FnOnce(&mut Registry)) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&WorkerError::Runtime(error)),
    };
    let exit = runtime.block_on(process(service, register));
    // A job that blocks its thread must not keep alive a process that is through with its queues.
    runtime.shutdown_background();
    exit
}

async fn process(service: &str, register: impl FnOnce(&mut Registry)) -> Exit {
    let (settings, telemetry) = match prepare(service) {
        Ok(prepared) => prepared,
        Err(error) => return refuse(&error),
    };
    log_older_names(&settings.older_names);
    let exit = serve(&settings, &telemetry, register).await.unwrap_or_else(|error| {
        tracing::error!("{error}");
        error.exit()
    });
    telemetry.shutdown().await;
    exit
}

fn prepare(service: &str) -> Result<(Settings, Telemetry), WorkerError> {
    let settings = Settings::read(&ProcessEnv)?;
    let telemetry = init(&settings.telemetry, service, LogStream::Stdout)?;
    Ok((settings, telemetry))
}

/// Says why nothing was started.
#[expect(clippy::print_stderr, reason = "there are no logs yet")]
fn refuse(error: &WorkerError) -> Exit {
    eprintln!("{error}");
    error.exit()
}

/// Opens what others see first, then works between the health server's start and its end.
async fn serve(
    settings: &Settings,
    telemetry: &Telemetry,
    register: impl FnOnce(&mut Registry),
) -> Result<Exit, WorkerError> {
    let signals = Signals::install().map_err(WorkerError::Signals)?;
    let listener = settings.listen.listen()?;
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(signals.cancel(stop.clone(), abort.clone()));

    let vitals = Vitals::default();
    let health = state(telemetry, &vitals);
    let closing = CancellationToken::new();
    let server = tokio::spawn(answer(listener, health.clone(), closing.clone(), stop.clone()));
    let builder = WorkerBuilder::from_settings(settings).with_job_types(register);
    let worked = work(builder, settings.drain_timeout, &vitals, &health, &stop, &abort).await;
    closing.cancel();
    let served = server.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    let exit = worked?;
    served.map_err(WorkerError::Health)?;
    Ok(exit)
}

/// Answers health checks until `closing`. A worker that nobody can check any more stops, so that it is replaced.
async fn answer(
    listener: TcpListener,
    health: HealthState,
    closing: CancellationToken,
    stop: CancellationToken,
) -> std::io::Result<()> {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "health and metrics");
    }
    // Also when the server panics.
    let _stop = stop.drop_guard();
    HealthServer::serve(listener, health, closing).await
}

async fn work(
    builder: WorkerBuilder,
    drain_timeout: Duration,
    vitals: &Vitals,
    health: &HealthState,
    stop: &CancellationToken,
    abort: &CancellationToken,
) -> Result<Exit, WorkerError> {
    let mut worker = tokio::select! {
        started = builder.start() => started?,
        () = stop.cancelled() => return Ok(Exit::Ok),
    };
    vitals.watch(&worker);
    tokio::select! {
        () = worker.died() => return Err(WorkerError::Died),
        () = stop.cancelled() => {}
    }
    health.begin_drain();
    tokio::select! {
        drained = worker.stop(drain_timeout) => Ok(report(drained)),
        () = abort.cancelled() => Ok(Exit::Interrupted),
    }
}

fn report(Drained { settled, handed_back, left }: Drained) -> Exit {
    if left > 0 {
        tracing::error!(settled, handed_back, left, "stopped without redis; other workers recover the jobs left");
        return Exit::Unavailable;
    }
    tracing::info!(settled, handed_back, "stopped");
    Exit::Ok
}
