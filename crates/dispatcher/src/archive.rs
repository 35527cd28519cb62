//! The way of finished jobs into the history. Two tasks work on it, each at its own pace, until they are told to stop:
//!
//! - `drain` empties the streams in which our workers leave the record of each finished job;
//! - `sweep` looks through the finished jobs that Redis keeps for those that have no record: other programs' workers
//!   leave none. It also fails jobs that are in line and were not started in time, where no worker does.
//!
//! Both store through a `shelf`, which bears a database that is away and records that it refuses. A record is stored once,
//! however many dispatchers come across it, and is taken out of Redis only when it is stored.

mod drain;
mod expiry;
mod outage;
mod pulse;
mod shelf;
mod sweep;

use std::time::Duration;

use operator_queue::Redis;
use operator_store::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use drain::Drain;
pub(crate) use pulse::Pulse;
use shelf::Shelf;
use sweep::Sweep;

/// An archive that has not begun.
pub(crate) struct Archive {
    redis: Redis,
    store: Store,
    interval: Duration,
    pulse: Pulse,
}

/// An archive at work.
pub(crate) struct Running {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Archive {
    pub(crate) fn new(redis: &Redis, store: &Store, interval: Duration) -> Self {
        Self { redis: redis.clone(), store: store.clone(), interval, pulse: Pulse::default() }
    }

    /// Whether both tasks make progress.
    pub(crate) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    pub(crate) fn start(self) -> Running {
        let stop = CancellationToken::new();
        let shelf = |beat| Shelf::new(self.store.clone(), stop.clone(), beat);
        let drain = Drain::new(&self.redis, self.interval, shelf(self.pulse.drain()));
        let sweep = Sweep::new(&self.redis, &self.store, self.interval, shelf(self.pulse.sweep()));
        let mut tasks = JoinSet::new();
        tasks.spawn(drain.run());
        tasks.spawn(sweep.run());
        Running { stop, tasks }
    }
}

impl Running {
    /// Waits for a task that ends by itself, which none should, and says how it ended.
    pub(crate) async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(error)) => error.to_string(),
            _ => "it stopped by itself".to_owned(),
        }
    }

    /// Lets both tasks finish what they hold. What they cannot within `limit` stays in Redis for other dispatchers.
    ///
    /// # Errors
    /// When a task panicked.
    pub(crate) async fn stop(mut self, limit: Duration) -> Result<(), String> {
        self.stop.cancel();
        let finished = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        tokio::time::timeout(limit, finished).await.unwrap_or_else(|_| {
            tracing::warn!("left a batch of finished jobs in Redis: another dispatcher stores it");
            Ok(())
        })
    }
}
