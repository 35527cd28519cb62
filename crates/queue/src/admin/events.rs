//! Shortening the stream of events.

use crate::error::QueueError;
use crate::queue::Queue;

impl Queue {
    /// Removes the oldest events until about `max` are left, and returns how many went. Redis removes whole blocks, so
    /// some more may be left.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn trim_events(&self, max: u64) -> Result<u64, QueueError> {
        let args = vec![self.keys.key("events").into(), "MAXLEN".into(), "~".into(), max.into()];
        Ok(self.redis.command("XTRIM", args).await?.count())
    }
}
