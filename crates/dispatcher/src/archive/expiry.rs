//! Jobs that wait for longer than they may, in queues whose workers do not come to find out.
//!
//! Each turn looks at a part of each line, so that a long one costs no more than a short one; it goes on where the last
//! one ended. Several dispatchers may look at the same part: a job expires once.

use std::collections::HashMap;

use operator_core::QueueName;
use operator_queue::{Queue, QueueError};

/// How far each queue's line was looked at.
#[derive(Default)]
pub(super) struct Expiry {
    places: HashMap<QueueName, u64>,
}

impl Expiry {
    /// Looks at the next part of the line.
    pub(super) async fn look(&mut self, queue: &Queue) -> Result<(), QueueError> {
        let place = self.places.get(queue.name()).copied().unwrap_or_default();
        let seen = queue.expire_waiting(place).await?;
        if seen.expired > 0 {
            tracing::info!(queue = %queue.name(), jobs = seen.expired, "failed jobs that were not started in time");
        }
        if seen.next == 0 {
            self.places.remove(queue.name());
        } else {
            self.places.insert(queue.name().clone(), seen.next);
        }
        Ok(())
    }
}
