//! A time in which something does not answer: waited through with growing pauses, and said in the log once.

use std::fmt::Display;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// An outage of a minute is over for us ten seconds later at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often an outage that goes on is said again.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Whether there is an outage, and how it is waited through.
#[derive(Debug, Default)]
pub(super) struct Outage {
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    since: Instant,
    said: Instant,
    /// With jitter, so that dispatchers do not return all at once.
    pauses: ExponentialBackoff,
}

impl Outage {
    /// Notes a failure and waits before the next try, or until `stop`.
    pub(super) async fn wait(&mut self, what: &str, error: &(dyn Display + Sync), stop: &CancellationToken) {
        let now = Instant::now();
        let is_new = self.current.is_none();
        let current = self.current.get_or_insert_with(|| Current { since: now, said: now, pauses: pauses() });
        if is_new {
            tracing::warn!(%error, "{what}; trying again until it works");
        } else if now - current.said >= SAY_AGAIN {
            current.said = now;
            tracing::warn!(%error, seconds = current.since.elapsed().as_secs(), "{what}; still trying");
        }
        let pause = current.pauses.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        // Whoever waits here is told to stop soon enough.
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
    }

    /// Notes that it works.
    pub(super) fn over(&mut self, what: &str) {
        if let Some(current) = self.current.take() {
            tracing::info!(seconds = current.since.elapsed().as_secs(), "{what} again");
        }
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}
