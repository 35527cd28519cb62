//! What a worker is doing, readable from any thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Written by the driver, read by health checks and gauges.
#[derive(Debug)]
pub struct Status {
    started: Instant,
    /// Milliseconds from `started` to the last answer from Redis.
    last_contact_ms: AtomicU64,
    slots: AtomicUsize,
    /// Watched by whoever waits for the end of running jobs.
    busy: watch::Sender<usize>,
    lost: AtomicU64,
    starved_ms: AtomicU64,
}

impl Status {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            started: Instant::now(),
            last_contact_ms: AtomicU64::new(0),
            slots: AtomicUsize::new(slots),
            busy: watch::Sender::new(0),
            lost: AtomicU64::new(0),
            starved_ms: AtomicU64::new(0),
        }
    }

    /// How long ago the claim loop last had an answer from Redis: the loop turns when this stays small.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_contact_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last)
    }

    /// How many jobs it can run at a time.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.load(Ordering::Relaxed)
    }

    /// How many jobs it runs.
    #[must_use]
    pub fn busy(&self) -> usize {
        *self.busy.borrow()
    }

    /// Waits until no job runs.
    pub async fn idle(&self) {
        // The sender lives in `self`, so that the wait ends only with the last job.
        let _ = self.busy.subscribe().wait_for(|busy| *busy == 0).await;
    }

    /// How many jobs it lost to other workers since it started.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// For how long jobs that block their threads have kept the program's runtime from running anything else.
    #[must_use]
    pub fn starved_for(&self) -> Duration {
        Duration::from_millis(self.starved_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_starved(&self, starved: Duration) {
        self.starved_ms.store(u64::try_from(starved.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn contact(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_contact_ms.store(since, Ordering::Relaxed);
    }

    pub(super) fn set_busy(&self, busy: usize) {
        self.busy.send_if_modified(|current| std::mem::replace(current, busy) != busy);
    }

    pub(super) fn set_slots(&self, slots: usize) {
        self.slots.store(slots, Ordering::Relaxed);
    }

    pub(super) fn add_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}
