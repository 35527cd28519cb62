//! What the keyspace does not say about the fleets: who holds what, whose worker is gone, who is awake.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::Answer;
use crate::claims::Claims;
use crate::invariants::Circumstances;
use crate::keyspace::{Content, Keyspace};
use crate::operation::Operation;

/// The highest limit that the generator gives a worker or a queue.
const RATE_MAX: u64 = 5;

/// The workers of both sides.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    /// The queue of each worker.
    queues: BTreeMap<String, String>,
    pub(super) claims: Claims,
    abandoned: BTreeSet<String>,
    awake: BTreeSet<String>,
}

impl Fleet {
    pub(super) fn worker_of(&self, queue: &str) -> Vec<String> {
        self.queues.iter().filter(|(_, of)| *of == queue).map(|(worker, _)| worker.clone()).collect()
    }

    /// Takes in what an operation means for the workers.
    pub(super) fn observe(&mut self, operation: &Operation, answer: &Answer, keys: &Keyspace) {
        match operation {
            Operation::Worker(worker) => drop(self.queues.insert(worker.worker.clone(), worker.queue.clone())),
            Operation::Expire(expire) => {
                if let Some(job) = expire.key.strip_suffix(":lock") {
                    self.abandoned.insert(job.to_owned());
                }
            }
            Operation::Claim(claim) => {
                if let Some(queue) = self.queues.get(&claim.worker) {
                    self.awake.remove(queue);
                }
            }
            Operation::Complete(complete) => self.ends(&complete.job, complete.next.is_some(), answer),
            Operation::Fail(fail) => self.ends(&fail.job, fail.next.is_some(), answer),
            Operation::MoveToDelayed(moved) => self.ends(&moved.job, false, answer),
            Operation::MoveToWait(moved) => self.ends(&moved.job, false, answer),
            Operation::MoveToWaitingChildren(moved) => self.ends(&moved.job, false, answer),
            _ => {}
        }
        self.abandoned.retain(|job| is_active(keys, job));
    }

    pub(super) fn circumstances(&self, now_ms: u64) -> Circumstances {
        Circumstances {
            abandoned: self.abandoned.clone(),
            awake: self.awake.clone(),
            rate_max: RATE_MAX,
            ..Circumstances::new("bull", now_ms)
        }
    }

    /// A worker that is done with a job looks for the next one, unless it has done so in the same step.
    fn ends(&mut self, job: &str, has_looked: bool, answer: &Answer) {
        let Some(queue) = self.claims.worker(job).and_then(|worker| self.queues.get(worker)) else { return };
        if has_looked && matches!(answer, Answer::Done(_)) {
            self.awake.remove(queue);
        } else {
            self.awake.insert(queue.clone());
        }
    }
}

fn is_active(keys: &Keyspace, job: &str) -> bool {
    let Some((queue, id)) = job.strip_prefix("bull:").and_then(|rest| rest.split_once(':')) else { return false };
    let active = keys.get(&format!("bull:{queue}:active")).map(|entry| &entry.content);
    matches!(active, Some(Content::List(ids)) if ids.iter().any(|active| active == id))
}
