//! The gauges of queues and history, read from Redis when somebody scrapes `/metrics`: a dispatcher that nobody scrapes
//! asks nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::future::try_join_all;
use metrics::gauge;
use operator_core::JobState;
use operator_core::pack::Advert;
use operator_queue::catalogue::adverts;
use operator_queue::{Queue, QueueError, now_ms, workers_of};
use operator_telemetry::names;

use crate::app::App;

/// Readings younger than this are served again, so that many scrapers cost as much as one.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// A scrape must not fail because Redis is slow: it then shows the last readings.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// What was read last. Locked while it is read, so that it is read once.
#[derive(Default)]
pub(crate) struct Readings {
    at: Option<Instant>,
    /// The workers by id and version of their packs.
    packs: BTreeMap<(String, String), u64>,
}

/// Reads the gauges before `/metrics` is answered.
pub(crate) async fn refresh(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/metrics" {
        match tokio::time::timeout(TIME_LIMIT, read(&app)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot read the gauges of the queues"),
            Err(_) => tracing::warn!("gave up reading the gauges of the queues: redis does not answer in time"),
        }
    }
    next.run(request).await
}

async fn read(app: &App) -> Result<(), QueueError> {
    let mut read = app.gauges_read().lock().await;
    if read.at.is_some_and(|at| at.elapsed() < FRESH_FOR) {
        return Ok(());
    }
    let queues = app.queues().await?;
    let workers = workers_of(app.redis(), &queues).await?;
    let count = |queue: &Queue| workers.get(queue.name()).map_or(0, Vec::len) as u64;
    try_join_all(queues.iter().map(|queue| read_queue(queue, count(queue)))).await?;
    let now = pack_workers(&adverts(app.redis()).await?);
    // What nobody has any more is 0, and not what it was last.
    let gone = read.packs.keys().filter(|pack| !now.contains_key(*pack)).map(|pack| (pack, 0));
    for ((pack, version), workers) in now.iter().map(|(pack, workers)| (pack, *workers)).chain(gone) {
        gauge!(names::PACK_WORKERS, "pack" => pack.clone(), "version" => version.clone()).set(number(workers));
    }
    read.packs = now;
    read.at = Some(Instant::now());
    Ok(())
}

async fn read_queue(queue: &Queue, workers: u64) -> Result<(), QueueError> {
    let (counts, oldest_ms, backlog, entry_ms) = tokio::try_join!(
        queue.counts(),
        queue.oldest_waiting_ms(),
        queue.history_backlog(),
        queue.history_oldest_ms()
    )?;
    let name = || queue.name().to_string();
    for state in JobState::ALL {
        gauge!(names::QUEUE_JOBS, "queue" => name(), "state" => state.as_str()).set(number(counts.of(state)));
    }
    gauge!(names::QUEUE_PAUSED, "queue" => name()).set(if counts.paused { 1.0 } else { 0.0 });
    gauge!(names::QUEUE_WORKERS, "queue" => name()).set(number(workers));
    gauge!(names::QUEUE_OLDEST_WAITING_AGE, "queue" => name()).set(age_seconds(oldest_ms));
    gauge!(names::HISTORY_BACKLOG, "queue" => name()).set(number(backlog));
    gauge!(names::HISTORY_LAG, "queue" => name()).set(age_seconds(entry_ms));
    Ok(())
}

/// How many workers have each version of each pack.
fn pack_workers(live: &[Advert]) -> BTreeMap<(String, String), u64> {
    let mut workers = BTreeMap::new();
    for pack in live.iter().flat_map(|advert| &advert.packs) {
        *workers.entry((pack.id.clone(), pack.version.to_string())).or_default() += 1;
    }
    workers
}

fn age_seconds(since_ms: Option<u64>) -> f64 {
    since_ms.map_or(0.0, |since| number(now_ms().saturating_sub(since)) / 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts and ages stay far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
