//! A queue's settings, as its `meta` has them.

use std::collections::BTreeMap;

use crate::error::QueueError;
use crate::queue::Queue;

/// The settings of a queue. What is not set is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueMeta {
    /// Who wrote it last, such as `bullmq:6.7.0`.
    pub version: Option<String>,
    /// Whether claims are stopped.
    pub paused: bool,
    /// How many jobs may run at a time, over all workers.
    pub concurrency: Option<u64>,
    /// How many jobs may start within `rate_duration_ms`, over all workers.
    pub rate_max: Option<u64>,
    /// The window of `rate_max`.
    pub rate_duration_ms: Option<u64>,
    /// How many entries the events stream keeps, roughly.
    pub max_events: Option<u64>,
    /// Fields that we do not know, as they stand.
    pub other: BTreeMap<String, String>,
}

impl Queue {
    /// The queue's settings. A number that is not readable counts as not set.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn meta(&self) -> Result<QueueMeta, QueueError> {
        let fields = self.redis.command("HGETALL", vec![self.keys.key("meta").into()]).await?.into_texts();
        let mut other: BTreeMap<String, String> =
            fields.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let mut number = |field: &str| other.remove(field).and_then(|text| text.parse().ok());
        let (concurrency, rate_max, rate_duration_ms) = (number("concurrency"), number("max"), number("duration"));
        let max_events = number("opts.maxLenEvents");
        Ok(QueueMeta {
            version: other.remove("version"),
            paused: other.remove("paused").is_some(),
            concurrency,
            rate_max,
            rate_duration_ms,
            max_events,
            other,
        })
    }
}
