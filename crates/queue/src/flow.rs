//! Adding flows: trees of jobs, in any number of queues, where each waits for those below it.

use operator_core::{FlowJob, InvalidOptions, JobId, ParentRef, QueueName};
use serde::Serialize;

use crate::add::read_added;
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Arg, Redis};
use crate::scripts;
use crate::wire::new_job::WireJob;

/// The most jobs one call adds unless told otherwise: they are one script, and everybody else waits for it.
const MAX_JOBS: usize = 10_000;

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

/// A job of the tree in the flat order of the call: parents before their children.
struct Node<'a> {
    job: &'a FlowJob,
    opts: operator_core::JobOptions,
    id: JobId,
    queue: usize,
    children: usize,
}

/// What a call adds.
#[derive(Default)]
struct Plan<'a> {
    queues: Vec<Queue>,
    nodes: Vec<Node<'a>>,
}

impl FlowProducer {
    /// A producer of flows at `redis`.
    #[must_use]
    pub fn new(redis: &Redis) -> Self {
        Self { redis: redis.clone(), max_jobs: MAX_JOBS, max_data_bytes: None }
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
    /// itself), [`QueueError::InvalidArgument`] (too many jobs, queues in different slots of a cluster) and
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
        let mut plan = Plan::default();
        for flow in flows {
            self.plan(&mut plan, flow, None, &mut Vec::new())?;
        }
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
        let ids = read_added(&ids, reply)?;
        for node in &plan.nodes {
            let queue = node.job.queue_name.to_string();
            metrics::counter!("operator_jobs_added_total", "queue" => queue).increment(1);
        }
        let mut trees = plan.nodes.iter().zip(ids);
        Ok(flows.iter().map(|_| tree(&mut trees)).collect())
    }

    /// Lays out `job` and all below it. `above` are the jobs that wait for it.
    fn plan<'a>(
        &self,
        plan: &mut Plan<'a>,
        job: &'a FlowJob,
        parent: Option<ParentRef>,
        above: &mut Vec<(QueueName, JobId)>,
    ) -> Result<(), QueueError> {
        if plan.nodes.len() >= self.max_jobs {
            let problem = format!("has more than {} jobs: add it in parts, or raise the limit", self.max_jobs);
            return Err(QueueError::InvalidArgument { field: "flow", problem });
        }
        let position = self.queue_position(plan, &job.queue_name);
        let mut opts = job.opts.clone();
        if parent.is_some() {
            opts.parent = parent;
        }
        if !job.children.is_empty() && opts.deduplication.is_some() {
            return Err(InvalidOptions::DeduplicatedParent.into());
        }
        let id = plan.queues[position].check(&job.data, &opts)?;
        let place = (job.queue_name.clone(), id.clone());
        if above.contains(&place) {
            return Err(InvalidOptions::OwnParent.into());
        }
        let queue = format!("{}:{}", self.redis.prefix(), job.queue_name);
        let children = job.children.len();
        plan.nodes.push(Node { job, opts, id: id.clone(), queue: position, children });
        above.push(place);
        for child in &job.children {
            self.plan(plan, child, Some(ParentRef { id: id.clone(), queue: queue.clone() }), above)?;
        }
        above.pop();
        Ok(())
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
        let jobs: Vec<WireFlowJob<'_>> = self.nodes.iter().map(|node| node.to_wire(now, is_repeated)).collect();
        vec![
            rmp_serde::to_vec(&prefixes).expect("text can be packed").into(),
            rmp_serde::to_vec(&jobs).expect("text and numbers can be packed").into(),
            now.into(),
            u64::from(is_repeated).into(),
        ]
    }
}

/// A job as `add.lua` takes it, the position of its queue, and whether it waits for children.
#[derive(Serialize)]
struct WireFlowJob<'a>(WireJob<'a>, usize, bool);

impl Node<'_> {
    fn to_wire(&self, now: u64, is_repeated: bool) -> WireFlowJob<'_> {
        let may_exist = is_repeated || self.opts.job_id.is_some();
        let job = WireJob::new(&self.id, may_exist, &self.job.name, &self.job.data, &self.opts, now);
        WireFlowJob(job, self.queue + 1, self.children > 0)
    }
}

/// The next tree of the flat list.
fn tree<'a>(nodes: &mut impl Iterator<Item = (&'a Node<'a>, JobId)>) -> AddedFlow {
    let (node, id) = nodes.next().expect("the plan has a node for every job of the flow");
    let children = (0..node.children).map(|_| tree(nodes)).collect();
    AddedFlow { queue_name: node.job.queue_name.clone(), id, children }
}
