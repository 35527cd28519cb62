//! A worker that runs inside a program. The process around it is [`crate::run`]'s business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use operator_core::QueueName;
use operator_queue::catalogue::Advertisement;
use operator_queue::worker::{self, Drained, Status, WorkerOptions};
use operator_queue::{Redis, RedisConfig};
use operator_telemetry::names;

use crate::WorkerBuilder;

/// How many turns the claim loop may miss before it counts as stuck: one may be slow, two are a hiccup.
const MISSED_TURNS: u32 = 3;

/// A running worker. Dropping it hands back what it runs; [`Worker::stop`] lets it finish first.
pub struct Worker {
    running: worker::Worker,
    advertised: Advertisement,
    patience: Duration,
    slots: Slots,
}

impl Worker {
    /// A worker at the Redis of this URL, with the job types of the `system` pack and those you add.
    #[must_use]
    pub fn builder(redis_url: impl Into<String>) -> WorkerBuilder {
        WorkerBuilder::new(RedisConfig::new(redis_url))
    }

    pub(crate) fn new(running: worker::Worker, advertised: Advertisement, options: &WorkerOptions) -> Self {
        let queues: Vec<_> = options.queues.iter().map(QueueName::as_str).collect();
        let name = options.name.as_deref().unwrap_or("unnamed");
        tracing::info!(queues = queues.join(","), slots = options.concurrency, name, "waiting for jobs");
        Self { running, advertised, patience: patience(options), slots: Slots::open(options.concurrency) }
    }

    /// What the worker is doing.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.running.status()
    }

    /// The connection it shares.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        self.running.redis()
    }

    /// How long [`Status::silent_for`] may last before the worker should be replaced.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Stops claiming until [`Worker::resume`]; jobs of a claim that is under way still come. Running jobs go on, and
    /// [`Status::idle`] waits for their end.
    pub fn pause(&self) {
        self.running.pause();
    }

    /// Claims again.
    pub fn resume(&self) {
        self.running.resume();
    }

    /// Whether the worker was paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.running.is_paused()
    }

    /// Runs up to `slots` jobs at a time from now on, at least one. Jobs that run beyond it end in their own time.
    pub fn set_concurrency(&self, slots: usize) {
        self.slots.resize(slots.max(1), || self.running.set_concurrency(slots));
    }

    /// Waits until the worker ends although nobody stopped it, which is a defect.
    pub async fn died(&mut self) {
        self.running.died().await;
    }

    /// Stops claiming, lets running jobs finish for up to `drain`, and hands the rest back without costing them an
    /// attempt.
    pub async fn stop(self, drain: Duration) -> Drained {
        let _slots = self.slots;
        if let Err(error) = self.advertised.withdraw().await {
            tracing::warn!(%error, "what this worker ran stays listed until its lease ends");
        }
        self.running.stop(drain).await
    }
}

/// An idle worker asks Redis each `idle_wait`, a busy one renews its locks at a quarter of their duration.
fn patience(options: &WorkerOptions) -> Duration {
    options.idle_wait.max(options.lock_duration / 4) * MISSED_TURNS
}

/// The worker's slots in the gauge of all workers of this process, for as long as it runs.
struct Slots {
    total: Gauge,
    /// Locked while it changes, so that the gauge and the worker end with the same of two changes made at once.
    count: Mutex<f64>,
}

impl Slots {
    fn open(slots: usize) -> Self {
        let total = metrics::gauge!(names::WORKER_SLOTS, "state" => "total");
        total.increment(float(slots));
        Self { total, count: Mutex::new(float(slots)) }
    }

    /// Counts `slots` instead, while `change` makes it true.
    fn resize(&self, slots: usize, change: impl FnOnce()) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        change();
        self.total.increment(float(slots) - *count);
        *count = float(slots);
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.total.decrement(*self.count.get_mut().unwrap_or_else(PoisonError::into_inner));
    }
}

fn float(slots: usize) -> f64 {
    u32::try_from(slots).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_three_turns_of_the_slower_of_waiting_and_renewing() {
        let mut options = WorkerOptions::new([]);
        assert_eq!(patience(&options), Duration::from_millis(22_500));
        options.lock_duration = Duration::from_secs(1);
        assert_eq!(patience(&options), Duration::from_secs(15));
    }
}
