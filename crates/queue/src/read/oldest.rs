//! How long jobs wait.

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Reply;
use crate::wire::options;

impl Queue {
    /// Since when the job that is served next could have run, epoch ms; `None` when nothing waits. Of the plain and the
    /// prioritized jobs, each next one counts, and the older of the two is told.
    ///
    /// A job could run from its creation, from the end of the delay it was added with, or from the beginning of its last
    /// attempt, whichever is latest: a backoff after that attempt counts as waiting.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn oldest_waiting_ms(&self) -> Result<Option<u64>, QueueError> {
        let key = |suffix| self.keys.key(suffix).into();
        let heads = vec![
            ("LINDEX", vec![key("paused"), (-1i64).into()]),
            ("LINDEX", vec![key("wait"), (-1i64).into()]),
            ("ZRANGE", vec![key("prioritized"), 0i64.into(), 0i64.into()]),
        ];
        let ids = self.redis.commands(heads).await?.into_iter().flat_map(Reply::into_texts);
        let fields = |id: String| {
            let key = self.keys.key(&id).into();
            ("HMGET", vec![key, "timestamp".into(), "opts".into(), "processedOn".into()])
        };
        let jobs = self.redis.commands(ids.map(fields).collect()).await?;
        let now_ms = self.now_ms();
        Ok(jobs.into_iter().filter_map(could_run_since).min().map(|since_ms| since_ms.min(now_ms)))
    }
}

/// From timestamp, options and processing time; `None` for a job whose hash is gone.
fn could_run_since(fields: Reply) -> Option<u64> {
    let fields = fields.into_list();
    let created_ms = fields.first()?.int().and_then(|created| u64::try_from(created).ok())?;
    let delay_ms = fields.get(1).and_then(Reply::text).map_or(0, |opts| options::decode(&opts).delay_ms);
    Some(created_ms.saturating_add(delay_ms).max(fields.get(2).map_or(0, Reply::count)))
}
