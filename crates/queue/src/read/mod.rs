//! Looking at a queue without changing it.

mod counts;
mod flow;
mod meta;
mod metrics;
mod names;
mod oldest;
mod pages;
mod tree;
mod workers;

pub use counts::Counts;
pub use flow::{Dependency, DependencyCounts, DependencyKind, DependencyPage};
pub use meta::QueueMeta;
pub use metrics::{MetricKind, MinuteMetrics};
pub use pages::{MAX_PAGE, Range};
pub use tree::FlowNode;
pub use workers::{WorkerInfo, workers_of};

use operator_core::ids::is_taken;
use operator_core::{Job, JobState};

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;
use crate::wire;

impl Queue {
    /// The job of this id, whatever its state. What is no job but a key of the queue is none.
    ///
    /// # Errors
    /// [`QueueError::Corrupt`] when its hash is not readable, [`QueueError::Redis`].
    pub async fn job(&self, id: &str) -> Result<Option<Job>, QueueError> {
        if is_taken(id) {
            return Ok(None);
        }
        let reply = self.redis.command("HGETALL", vec![self.keys.key(id).into()]).await?;
        wire::job::from_hash(&self.name, id, reply)
    }

    /// Where the job of this id is. What BullMQ 5 parked while the queue was paused is waiting.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn state(&self, id: &str) -> Result<JobState, QueueError> {
        let args: Vec<Arg> = vec![self.keys.prefix().into(), id.into()];
        let state = self.script(&scripts::STATE, None, args).await?.text().unwrap_or_default();
        Ok(state.parse().unwrap_or(JobState::Unknown))
    }

    /// The job that holds a deduplication id, if one does.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn deduplication_job_id(&self, deduplication_id: &str) -> Result<Option<String>, QueueError> {
        let key = self.keys.key(&format!("de:{deduplication_id}"));
        Ok(self.redis.command("GET", vec![key.into()]).await?.text())
    }

    pub(crate) fn state_key(&self, state: JobState) -> Arg {
        self.keys.key(shape(state).suffix).into()
    }
}

/// How the wire keeps the ids of a state.
struct Shape {
    suffix: &'static str,
    is_list: bool,
    count: &'static str,
}

fn shape(state: JobState) -> Shape {
    match state {
        JobState::Waiting | JobState::Unknown => Shape { suffix: "wait", is_list: true, count: "LLEN" },
        JobState::Active => Shape { suffix: "active", is_list: true, count: "LLEN" },
        other => Shape { suffix: other.as_str(), is_list: false, count: "ZCARD" },
    }
}
