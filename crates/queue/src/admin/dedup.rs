//! Giving up deduplication ids before their time.

use crate::error::QueueError;
use crate::queue::Queue;
use crate::scripts;

impl Queue {
    /// Gives up a deduplication id, whoever owns it: the next job of that id is added. Says whether it was owned.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn remove_deduplication_key(&self, deduplication_id: &str) -> Result<bool, QueueError> {
        let key = self.keys.key(&format!("de:{deduplication_id}"));
        Ok(self.redis.command("DEL", vec![key.into()]).await?.count() == 1)
    }

    /// Gives up the deduplication id that a job owns. Says whether it owned one.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when there is no such job.
    pub async fn remove_job_deduplication_key(&self, id: &str) -> Result<bool, QueueError> {
        let args = vec![self.keys.prefix().into(), id.into()];
        Ok(self.job_script(&scripts::FREE_DEDUPLICATION, id, args).await? == 1)
    }
}
