//! A flow as the API shows it: a tree of jobs in short, and the children of one job.

use operator_core::time::iso;
use operator_core::{JobState, Json};
use operator_queue::keys::JobKey;
use operator_queue::{Dependency, DependencyCounts, FlowNode};
use serde::Serialize;
use utoipa::ToSchema;

/// A job of a flow in short, with its children.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Flow, no_recursion)]
pub(crate) struct FlowView {
    /// Its queue.
    #[schema(example = "default")]
    pub(crate) queue: String,
    /// Its id.
    pub(crate) id: String,
    /// Picks the job type that runs it; null when the job was removed.
    name: Option<String>,
    /// BullMQ's word; `unknown` when the job was removed.
    #[schema(example = "waiting-children")]
    state: &'static str,
    /// BlackRoad's word; null when the job was removed.
    #[schema(example = "pending")]
    status: Option<&'static str>,
    /// Why its last attempt failed.
    error: Option<String>,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When it finished.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// The jobs it waits or waited for: those that completed, those it waits for, those that failed it, those whose
    /// failure it ignores.
    children: Vec<FlowView>,
    /// Whether it has more children than are shown.
    has_more: bool,
}

impl FlowView {
    /// The tree below `node`; `states` are those of its jobs, in the order in which [`FlowView::keys`] names them.
    pub(crate) fn new(node: FlowNode, states: &mut impl Iterator<Item = JobState>) -> Self {
        let state = states.next().unwrap_or(JobState::Unknown);
        let children = node.children.into_iter().map(|child| Self::new(child, states)).collect();
        let status = node.job.as_ref().map(|job| job.status(state).as_str());
        let finished_at = node.job.as_ref().and_then(|job| job.finished_ms).map(iso);
        let created_at = node.job.as_ref().map(|job| iso(job.timestamp_ms));
        let (name, error) = node.job.map_or((None, None), |job| (Some(job.name), job.failed_reason));
        Self {
            queue: node.key.queue.into(),
            id: node.key.id.into(),
            name,
            state: state.as_str(),
            status,
            error,
            created_at,
            finished_at,
            children,
            has_more: node.has_more,
        }
    }

    /// The jobs of a tree, each before those below it.
    pub(crate) fn keys<'a>(node: &'a FlowNode, keys: &mut Vec<&'a JobKey>) {
        keys.push(&node.key);
        for child in &node.children {
            Self::keys(child, keys);
        }
    }
}

/// How many children a job has, by how they stand.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DependencyCounts)]
pub(crate) struct DependencyCountsView {
    /// Those that completed.
    processed: u64,
    /// Those it waits for.
    unprocessed: u64,
    /// Those that failed without consequence.
    ignored: u64,
    /// Those that failed and make it fail.
    failed: u64,
}

impl From<DependencyCounts> for DependencyCountsView {
    fn from(counts: DependencyCounts) -> Self {
        let DependencyCounts { processed, unprocessed, ignored, failed } = counts;
        Self { processed, unprocessed, ignored, failed }
    }
}

/// A child as its parent keeps it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Dependency)]
pub(crate) struct DependencyView {
    /// Its queue.
    #[schema(example = "default")]
    queue: Option<String>,
    /// Its id; its whole key when that is not one of a job.
    id: String,
    /// What it returned, when it completed.
    #[schema(value_type = Value)]
    value: Option<Json>,
    /// Why it failed, when that is ignored.
    error: Option<String>,
}

impl From<Dependency> for DependencyView {
    fn from(child: Dependency) -> Self {
        let (queue, id) = match JobKey::parse(&child.key) {
            Some(key) => (Some(key.queue.into()), key.id.into()),
            None => (None, child.key),
        };
        Self { queue, id, value: child.value, error: child.reason }
    }
}
