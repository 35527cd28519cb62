//! Signs of life of the archive's tasks, for `/health`: a task that hangs must not go unnoticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Several times what the slowest step may take: a call to the database has 20 s, one to Redis 5 s, a pause 10 s.
const LIMIT: Duration = Duration::from_secs(120);

/// When each task last gave a sign of life. The tasks write, health checks read.
#[derive(Debug, Clone)]
pub(crate) struct Pulse {
    drain: Beat,
    sweep: Beat,
}

/// One task's side of it.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    started: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { drain: Beat::new(), sweep: Beat::new() }
    }
}

impl Pulse {
    pub(super) fn drain(&self) -> Beat {
        self.drain.clone()
    }

    pub(super) fn sweep(&self) -> Beat {
        self.sweep.clone()
    }

    /// # Errors
    /// Which task has been silent for too long.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (task, beat) in [("drain", &self.drain), ("sweep", &self.sweep)] {
            let silence = beat.silence();
            if silence > LIMIT {
                return Err(format!("the {task} has made no progress for {} s", silence.as_secs()));
            }
        }
        Ok(())
    }
}

impl Beat {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), last_ms: Arc::default() }
    }

    pub(super) fn beat(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(since, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }
}
