//! A queue as the API shows it.

use operator_core::JobState;
use operator_queue::{Counts, Queue, QueueError, WorkerInfo, now_ms};
use serde::Serialize;
use utoipa::ToSchema;

/// A queue, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueView {
    /// Its name.
    #[schema(example = "default")]
    pub(crate) name: String,
    /// Whether claims are stopped.
    pub(crate) paused: bool,
    /// How many jobs it has in each state.
    pub(crate) counts: CountsView,
}

/// How many jobs there are in each of BullMQ's states. Completed and failed are those that Redis still keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Counts)]
pub(crate) struct CountsView {
    pub(crate) waiting: u64,
    pub(crate) active: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) delayed: u64,
    pub(crate) prioritized: u64,
    pub(crate) waiting_children: u64,
}

/// A queue with all there is to say about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueueStatus)]
pub(crate) struct QueueStatusView {
    #[serde(flatten)]
    pub(crate) queue: QueueView,
    /// The workers listed on it, ours and BullMQ's.
    pub(crate) workers: Vec<WorkerView>,
    /// How long the job at the head of the line has been there, milliseconds; null when nothing waits.
    pub(crate) oldest_waiting_age_ms: Option<u64>,
    /// Batches of finished jobs that are not stored in the history yet.
    pub(crate) history_backlog: u64,
}

/// A worker, as the server's list of connections shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Worker)]
pub(crate) struct WorkerView {
    /// Its own name, if it has one.
    pub(crate) name: Option<String>,
    /// Where it connects from.
    pub(crate) address: String,
    /// Seconds since it connected.
    pub(crate) age_seconds: u64,
    /// Seconds since its last command.
    pub(crate) idle_seconds: u64,
}

impl QueueView {
    pub(crate) async fn of(queue: &Queue) -> Result<Self, QueueError> {
        let counts = queue.counts().await?;
        Ok(Self { name: queue.name().to_string(), paused: counts.paused, counts: CountsView::from(&counts) })
    }
}

impl QueueStatusView {
    pub(crate) async fn of(queue: &Queue, workers: Vec<WorkerInfo>) -> Result<Self, QueueError> {
        let (short, oldest_ms, history_backlog) =
            tokio::try_join!(QueueView::of(queue), queue.oldest_waiting_ms(), queue.history_backlog())?;
        Ok(Self {
            queue: short,
            workers: workers.into_iter().map(WorkerView::from).collect(),
            oldest_waiting_age_ms: oldest_ms.map(|since| now_ms().saturating_sub(since)),
            history_backlog,
        })
    }
}

impl From<&Counts> for CountsView {
    fn from(counts: &Counts) -> Self {
        Self {
            waiting: counts.of(JobState::Waiting),
            active: counts.of(JobState::Active),
            completed: counts.of(JobState::Completed),
            failed: counts.of(JobState::Failed),
            delayed: counts.of(JobState::Delayed),
            prioritized: counts.of(JobState::Prioritized),
            waiting_children: counts.of(JobState::WaitingChildren),
        }
    }
}

impl CountsView {
    /// Jobs that no worker has taken yet, or not again.
    pub(crate) fn pending(&self) -> u64 {
        self.waiting + self.prioritized + self.delayed + self.waiting_children
    }
}

impl From<WorkerInfo> for WorkerView {
    fn from(worker: WorkerInfo) -> Self {
        Self { name: worker.name, address: worker.address, age_seconds: worker.age_s, idle_seconds: worker.idle_s }
    }
}
