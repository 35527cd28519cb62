//! Adding flows: trees of jobs, in any number of queues, where each waits for those below it.

use std::collections::VecDeque;
use std::ops::Range;

use operator_core::{FlowJob, InvalidOptions, JobId, JobOptions, ParentRef, QueueName};
use serde::Serialize;

use crate::add::read_added;
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Arg, Redis};
use crate::scripts;
use crate::wire::new_job::WireJob;

/// The most jobs one call adds unless told otherwise: they are one script, and everybody else waits for it.
pub const MAX_FLOW_JOBS: usize = 10_000;

/// The most bytes of data that one call carries, for the same reason.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A job of a flow that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddedFlow {
    /// Where it is.
    pub queue_name: QueueName,
    /// Its id.
    pub id: JobId,
    /// The jobs it waits for, in the order of the flow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<AddedFlow>,
}

/// Adds flows.
#[derive(Clone)]
pub struct FlowProducer {
    redis: Redis,
    max_jobs: usize,
    max_data_bytes: Option<u64>,
}

/// A job of a tree, in the flat order of the call.
struct Node<'a> {
    job: &'a FlowJob,
    opts: JobOptions,
    id: JobId,
    queue: usize,
    /// The position of the job that waits for it.
    parent: Option<usize>,
    /// The positions of the jobs that it waits for.
    children: Range<usize>,
}

/// What a call adds: the roots of all flows, then their children, and so on, as BullMQ orders them.
#[derive(Default)]
struct Plan<'a> {
    queues: Vec<Queue>,
    nodes: Vec<Node<'a>>,
}

impl FlowProducer {
    /// A producer of flows at `redis`.
    #[must_use]
    pub fn new(redis: &Redis) -> Self {
        Self { redis: redis.clone(), max_jobs: MAX_FLOW_JOBS, max_data_bytes: None }
    }

    /// The same producer with another limit on the jobs of one call; 10 000 unless given.
    #[must_use]
    pub fn with_max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// The same producer with another limit on the data of a job, in bytes.
    #[must_use]
    pub fn with_max_data_bytes(mut self, bytes: u64) -> Self {
        self.max_data_bytes = Some(bytes);
        self
    }

    /// Adds a flow: all of its jobs, or when one is refused none.
    ///
    /// # Errors
    /// [`QueueError::InvalidId`], [`QueueError::InvalidOptions`] (options that do not go together, a job that waits for
    /// itself), [`QueueError::InvalidArgument`] (too many jobs, or too much data), [`QueueError::DifferentSlots`] in a cluster, and
    /// [`QueueError::TooLarge`] before anything is written; [`QueueError::Refused`] when the root's own parent does
    /// not exist, or a child has another parent already; [`QueueError::Redis`].
    pub async fn add(&self, flow: &FlowJob) -> Result<AddedFlow, QueueError> {
        let mut added = self.add_bulk(std::slice::from_ref(flow)).await?;
        Ok(added.pop().expect("one flow gives one tree"))
    }

    /// Adds flows in order: all of them, or when a job is refused none.
    ///
    /// # Errors
    /// As [`FlowProducer::add`].
    pub async fn add_bulk(&self, flows: &[FlowJob]) -> Result<Vec<AddedFlow>, QueueError> {
        let plan = self.plan(flows)?;
        let Some(first) = plan.queues.first().cloned() else { return Ok(Vec::new()) };
        for queue in &plan.queues {
            queue.ensure_registered().await?;
        }
        let now = first.now_ms();
        let reply = match first.script(&scripts::FLOW, None, plan.args(now, false)).await {
            Err(error) if error.is_ambiguous() => first.script(&scripts::FLOW, None, plan.args(now, true)).await?,
            answer => answer?,
        };
        let ids: Vec<JobId> = plan.nodes.iter().map(|node| node.id.clone()).collect();
        let added = read_added(&ids, reply)?;
        for (node, _) in plan.nodes.iter().zip(&added).filter(|(_, added)| added.is_new) {
            let queue = node.job.queue_name.to_string();
            metrics::counter!("operator_jobs_added_total", "queue" => queue).increment(1);
        }
        let ids: Vec<JobId> = added.into_iter().map(|added| added.id).collect();
        Ok((0..flows.len()).map(|root| plan.tree(root, &ids)).collect())
    }

    fn plan<'a>(&self, flows: &'a [FlowJob]) -> Result<Plan<'a>, QueueError> {
        let mut plan = Plan::default();
        let mut coming: VecDeque<(&FlowJob, Option<usize>)> = flows.iter().map(|flow| (flow, None)).collect();
        let mut bytes = 0;
        while let Some((job, parent)) = coming.pop_front() {
            bytes += job.data.as_str().len();
            if bytes > MAX_BYTES {
                let problem = format!("has more than {MAX_BYTES} bytes of data: add it in parts, or pass references");
                return Err(QueueError::InvalidArgument { field: "flow", problem });
            }
            if plan.nodes.len() >= self.max_jobs {
                let problem = format!("has more than {} jobs: add it in parts, or raise the limit", self.max_jobs);
                return Err(QueueError::InvalidArgument { field: "flow", problem });
            }
            let node = self.node(&mut plan, job, parent)?;
            let position = plan.nodes.len();
            // Whatever is coming already stands before them.
            let first_child = position + 1 + coming.len();
            plan.nodes.push(Node { children: first_child..first_child + job.children.len(), ..node });
            coming.extend(job.children.iter().map(|child| (child, Some(position))));
        }
        Ok(plan)
    }

    /// Checks one job against those above it.
    fn node<'a>(&self, plan: &mut Plan<'a>, job: &'a FlowJob, parent: Option<usize>) -> Result<Node<'a>, QueueError> {
        let queue = self.queue_position(plan, &job.queue_name);
        let mut opts = job.opts.clone();
        if let Some(parent) = parent.map(|parent| &plan.nodes[parent]) {
            let key = format!("{}:{}", self.redis.prefix(), parent.job.queue_name);
            opts.parent = Some(ParentRef { id: parent.id.clone(), queue: key });
        }
        plan.queues[0].check_same_slot(plan.queues[queue].keys.prefix())?;
        if !job.children.is_empty() && opts.deduplication.is_some() {
            return Err(InvalidOptions::DeduplicatedParent.into());
        }
        let id = plan.queues[queue].check(&job.name, &job.data, &opts)?;
        let above = |position: Option<usize>| position.and_then(|position| plan.nodes[position].parent);
        let is_above = std::iter::successors(parent, |position| above(Some(*position)))
            .any(|position| plan.nodes[position].id == id && plan.nodes[position].queue == queue);
        if is_above {
            return Err(InvalidOptions::OwnParent.into());
        }
        Ok(Node { job, opts, id, queue, parent, children: 0..0 })
    }

    fn queue_position(&self, plan: &mut Plan<'_>, name: &QueueName) -> usize {
        if let Some(position) = plan.queues.iter().position(|queue| queue.name == *name) {
            return position;
        }
        let mut queue = Queue::new(&self.redis, name.clone());
        if let Some(bytes) = self.max_data_bytes {
            queue = queue.with_max_data_bytes(bytes);
        }
        plan.queues.push(queue);
        plan.queues.len() - 1
    }
}

impl Plan<'_> {
    fn args(&self, now: u64, is_repeated: bool) -> Vec<Arg> {
        let prefixes: Vec<&str> = self.queues.iter().map(|queue| queue.keys.prefix()).collect();
        let jobs: Vec<WireFlowJob<'_>> = self.nodes.iter().map(|node| node.to_wire(now)).collect();
        vec![
            rmp_serde::to_vec(&prefixes).expect("text can be packed").into(),
            rmp_serde::to_vec(&jobs).expect("text and numbers can be packed").into(),
            now.into(),
            u64::from(is_repeated).into(),
        ]
    }

    /// The job at `position` and those below it, with the ids under which they are in their queues.
    fn tree(&self, position: usize, ids: &[JobId]) -> AddedFlow {
        let node = &self.nodes[position];
        AddedFlow {
            queue_name: node.job.queue_name.clone(),
            id: ids[position].clone(),
            children: node.children.clone().map(|child| self.tree(child, ids)).collect(),
        }
    }
}

/// A job as `add.lua` takes it, the position of its queue, and whether it waits for children.
#[derive(Serialize)]
struct WireFlowJob<'a>(WireJob<'a>, usize, bool);

impl Node<'_> {
    fn to_wire(&self, now: u64) -> WireFlowJob<'_> {
        let job = WireJob::new(&self.id, &self.job.name, &self.job.data, &self.opts, now);
        WireFlowJob(job, self.queue + 1, !self.job.children.is_empty())
    }
}
