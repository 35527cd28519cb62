//! Stopping a queue and letting it go on.

use crate::error::QueueError;
use crate::queue::Queue;
use crate::scripts;

impl Queue {
    /// Stops claims. Jobs that run are not touched; jobs can still be added.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn pause(&self) -> Result<(), QueueError> {
        self.script(&scripts::PAUSE, None, vec!["1".into()]).await?;
        Ok(())
    }

    /// Lets claims go on, and brings back what BullMQ 5 parked while the queue was paused.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn resume(&self) -> Result<(), QueueError> {
        while self.script(&scripts::PAUSE, None, vec!["0".into()]).await?.count() == 1 {}
        Ok(())
    }
}
