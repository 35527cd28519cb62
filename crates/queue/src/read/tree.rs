//! A flow as a tree, from one of its jobs down, whichever queues it spans.

use std::collections::HashSet;

use operator_core::ids::is_taken;
use operator_core::{Job, JobId};

use super::flow::{DependencyKind, page_command, read_page};
use crate::error::QueueError;
use crate::keys::JobKey;
use crate::queue::Queue;
use crate::redis::{Arg, Reply};
use crate::wire;

/// The most jobs one tree holds, whatever depth and breadth allow.
const MAX_NODES: usize = 10_000;

/// How many jobs one round trip asks for.
const CHUNK: usize = 250;

/// A job of a flow, with those it waits or waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowNode {
    /// Where the job is, or was.
    pub key: JobKey,
    /// The job; `None` when it was removed, or is not readable.
    pub job: Option<Job>,
    /// Its children: completed ones first, then those it waits for, those that failed it and those whose failure it
    /// ignores.
    pub children: Vec<FlowNode>,
    /// Whether it has children that are not shown: beyond `max_children`, `depth` or the size of a tree.
    pub has_more: bool,
}

/// A node while the tree is read, level by level.
struct Draft {
    key: JobKey,
    /// Position of its parent.
    parent: usize,
    job: Option<Job>,
    has_more: bool,
}

impl Queue {
    /// The flow below job `id`: `depth` levels (1 is the job alone), at most `max_children` of each job. A job that Redis
    /// names twice, as only damaged data does, is shown once. `None` when there is no such job.
    ///
    /// # Errors
    /// [`QueueError::Corrupt`] when the hash of `id` itself is not readable, [`QueueError::Redis`].
    pub async fn flow_tree(&self, id: &str, depth: u32, max_children: u64) -> Result<Option<FlowNode>, QueueError> {
        let Some(job) = self.job(id).await? else { return Ok(None) };
        self.tree(job, depth, max_children, Share::Whole).await
    }

    /// The same tree with its jobs in short: without their data, options, results, progress and stack traces, which are
    /// not even read.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn flow_outline(&self, id: &str, depth: u32, max_children: u64) -> Result<Option<FlowNode>, QueueError> {
        if is_taken(id) {
            return Ok(None);
        }
        let root =
            JobKey { prefix: self.redis.prefix().to_owned(), queue: self.name.clone(), id: JobId::from_wire(id) };
        let (command, args) = Share::Outline.command(&root);
        let reply = self.redis.command(command, args).await?;
        let Some(job) = Share::Outline.read(&root, reply)? else { return Ok(None) };
        self.tree(job, depth, max_children, Share::Outline).await
    }

    async fn tree(
        &self,
        job: Job,
        depth: u32,
        max_children: u64,
        share: Share,
    ) -> Result<Option<FlowNode>, QueueError> {
        let key = JobKey { prefix: self.redis.prefix().to_owned(), queue: self.name.clone(), id: job.id.clone() };
        let mut seen = HashSet::from([key.to_string()]);
        let mut tree = vec![Draft { key, parent: 0, job: Some(job), has_more: false }];
        let (mut level, mut levels) = (0, 1);
        while level < tree.len() {
            let next = tree.len();
            let may_grow = levels < depth;
            for first in (level..next).step_by(CHUNK) {
                let chunk = first..next.min(first + CHUNK);
                self.add_children(&mut tree, chunk, max_children, may_grow, &mut seen).await?;
            }
            self.read_jobs(&mut tree[next..], share).await?;
            (level, levels) = (next, levels + 1);
        }
        Ok(assemble(tree))
    }

    /// Adds the children of the drafts in `chunk`, or only notes that there are some.
    async fn add_children(
        &self,
        tree: &mut Vec<Draft>,
        chunk: std::ops::Range<usize>,
        max_children: u64,
        may_grow: bool,
        seen: &mut HashSet<String>,
    ) -> Result<(), QueueError> {
        let mut commands = Vec::new();
        let count = if may_grow { max_children } else { 1 };
        for draft in &tree[chunk.clone()] {
            for kind in DependencyKind::ALL {
                commands.push(page_command(format!("{}:{}", draft.key, kind.suffix()), kind, 0, count));
            }
        }
        let mut answers = self.redis.commands(commands).await?.into_iter();
        for parent in chunk {
            let mut left = if may_grow { max_children } else { 0 };
            for kind in DependencyKind::ALL {
                let Some(answer) = answers.next() else { break };
                let page = read_page(kind, answer, 0, count);
                tree[parent].has_more |= may_grow && page.next.is_some() && max_children > 0;
                for child in page.items {
                    let Some(key) = JobKey::parse(&child.key) else { continue };
                    if left == 0 || tree.len() >= MAX_NODES {
                        tree[parent].has_more = true;
                    } else if seen.insert(child.key) {
                        tree.push(Draft { key, parent, job: None, has_more: false });
                        left -= 1;
                    }
                }
            }
        }
        Ok(())
    }

    async fn read_jobs(&self, drafts: &mut [Draft], share: Share) -> Result<(), QueueError> {
        for chunk in drafts.chunks_mut(CHUNK) {
            let commands = chunk.iter().map(|draft| share.command(&draft.key)).collect();
            let hashes = self.redis.commands(commands).await?;
            for (draft, hash) in chunk.iter_mut().zip(hashes) {
                match share.read(&draft.key, hash) {
                    Ok(job) => draft.job = job,
                    Err(error) => tracing::warn!(job = %draft.key, %error, "left an unreadable job out of a flow"),
                }
            }
        }
        Ok(())
    }
}

/// How much of a job is read.
#[derive(Debug, Clone, Copy)]
enum Share {
    Whole,
    Outline,
}

impl Share {
    fn command(self, key: &JobKey) -> (&'static str, Vec<Arg>) {
        let key = Arg::from(key.to_string());
        match self {
            Self::Whole => ("HGETALL", vec![key]),
            Self::Outline => ("HMGET", std::iter::once(key).chain(wire::job::OUTLINE.map(Arg::from)).collect()),
        }
    }

    fn read(self, key: &JobKey, reply: Reply) -> Result<Option<Job>, QueueError> {
        match self {
            Self::Whole => wire::job::from_hash(&key.queue, key.id.as_str(), reply),
            Self::Outline => wire::job::from_outline(&key.queue, key.id.as_str(), reply),
        }
    }
}

/// Hangs each node under its parent. Children stand behind their parents, so the last ones have theirs already.
fn assemble(tree: Vec<Draft>) -> Option<FlowNode> {
    let parents: Vec<usize> = tree.iter().map(|draft| draft.parent).collect();
    let mut nodes: Vec<Option<FlowNode>> = tree
        .into_iter()
        .map(|Draft { key, job, has_more, .. }| Some(FlowNode { key, job, children: Vec::new(), has_more }))
        .collect();
    for at in (1..nodes.len()).rev() {
        let Some(mut node) = nodes[at].take() else { continue };
        node.children.reverse();
        if let Some(parent) = nodes[parents[at]].as_mut() {
            parent.children.push(node);
        }
    }
    let mut root = nodes.into_iter().next().flatten()?;
    root.children.reverse();
    Some(root)
}
