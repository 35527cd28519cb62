//! What waiting jobs are called.

use operator_core::JobState;

use super::{MAX_PAGE, Range};
use crate::error::QueueError;
use crate::queue::Queue;

impl Queue {
    /// The names of the jobs that are served next, up to `count` (at most [`MAX_PAGE`]) of the plain and as many of the
    /// prioritized ones. A job that is removed meanwhile is left out.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn next_names(&self, count: u64) -> Result<Vec<String>, QueueError> {
        let Some(last) = count.min(MAX_PAGE).checked_sub(1) else { return Ok(Vec::new()) };
        let range = Range { first: 0, last, ascending: true };
        let mut ids = self.ids(JobState::Waiting, range).await?;
        ids.extend(self.ids(JobState::Prioritized, range).await?);
        let commands = ids.iter().map(|id| ("HGET", vec![self.keys.key(id).into(), "name".into()])).collect();
        let names = self.redis.commands(commands).await?;
        Ok(names.into_iter().filter_map(|name| name.text()).collect())
    }
}
