//! The programs of one job type that wait for their next job.

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::Persistent;
use super::speaker::Speaker;

/// The programs of one job type, as many as jobs of it may run at a time.
pub(super) struct Pool {
    shared: Arc<Shared>,
    /// The task that stops idle programs begins with the first one, inside the worker's runtime.
    janitor: Once,
}

struct Shared {
    settings: Persistent,
    grace: Duration,
    /// One for each program that runs a job.
    slots: Arc<Semaphore>,
    /// The last is the one that was used last: those that are not needed get old at the front.
    idle: Mutex<Vec<Speaker>>,
}

/// The right to run one job.
pub(super) type Slot = OwnedSemaphorePermit;

impl Pool {
    pub(super) fn new(settings: Persistent, grace: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(settings.processes.clamp(1, Semaphore::MAX_PERMITS)));
        Self { shared: Arc::new(Shared { settings, grace, slots, idle: Mutex::default() }), janitor: Once::new() }
    }

    /// Waits for a slot, and takes a program that waits for a job; none when one must be started.
    pub(super) async fn take(&self) -> (Option<Speaker>, Slot) {
        let slot = Arc::clone(&self.shared.slots).acquire_owned().await.expect("the slots are never closed");
        (self.shared.take_ready(), slot)
    }

    /// Keeps the program for its next job, unless it has run enough of them.
    pub(super) fn give_back(&self, mut speaker: Speaker, slot: Slot) {
        if speaker.jobs >= self.shared.settings.max_jobs {
            speaker.let_go(self.shared.grace);
            return;
        }
        self.janitor.call_once(|| {
            tokio::spawn(stop_idle(Arc::downgrade(&self.shared), self.shared.settings.idle));
        });
        speaker.since = Instant::now();
        self.shared.idle().push(speaker);
        // Whoever waits for the slot finds the program.
        drop(slot);
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Speaker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A program that ended or spoke up meanwhile is of no use any more.
    fn take_ready(&self) -> Option<Speaker> {
        loop {
            let mut speaker = self.idle().pop()?;
            if speaker.is_ready() {
                return Some(speaker);
            }
            tracing::warn!("a program for many jobs ended, or spoke without a job; another takes its place");
            speaker.process().kill();
        }
    }

    fn take_old(&self) -> Vec<Speaker> {
        let mut idle = self.idle();
        let young = idle.iter().position(|speaker| speaker.since.elapsed() < self.settings.idle);
        let old = young.unwrap_or(idle.len());
        idle.drain(..old).collect()
    }
}

/// Stops programs that had no job for long, until the pool is gone.
async fn stop_idle(pool: Weak<Shared>, after: Duration) {
    loop {
        sleep((after / 4).max(Duration::from_millis(10))).await;
        let Some(pool) = pool.upgrade() else { return };
        for speaker in pool.take_old() {
            speaker.let_go(pool.grace);
        }
    }
}
