//! What the keyspace does not say about the fleets: who holds what, whose worker is gone, who is awake.

use std::collections::BTreeSet;

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
    pub(super) claims: Claims,
    abandoned: BTreeSet<String>,
    awake: BTreeSet<String>,
}

impl Fleet {
    /// Takes in what an operation means for the workers.
    pub(super) fn observe(&mut self, operation: &Operation, answer: &Answer, keys: &Keyspace) {
        self.claims.declare(operation);
        match operation {
            Operation::Expire(expire) => {
                if let Some(job) = expire.key.strip_suffix(":lock") {
                    self.abandoned.insert(job.to_owned());
                }
            }
            Operation::Claim(_) => drop(self.awake.remove(&self.claims.queue(operation))),
            Operation::Complete(complete) => self.ends(operation, complete.next.is_some(), answer),
            Operation::Fail(fail) => self.ends(operation, fail.next.is_some(), answer),
            Operation::MoveToDelayed(_) | Operation::MoveToWait(_) | Operation::MoveToWaitingChildren(_) => {
                self.ends(operation, false, answer);
            }
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
    fn ends(&mut self, operation: &Operation, has_looked: bool, answer: &Answer) {
        let queue = self.claims.queue(operation);
        if has_looked && matches!(answer, Answer::Done(_)) {
            self.awake.remove(&queue);
        } else {
            self.awake.insert(queue);
        }
    }
}

fn is_active(keys: &Keyspace, job: &str) -> bool {
    let Some((queue, id)) = job.strip_prefix("bull:").and_then(|rest| rest.split_once(':')) else { return false };
    let active = keys.get(&format!("bull:{queue}:active")).map(|entry| &entry.content);
    matches!(active, Some(Content::List(ids)) if ids.iter().any(|active| active == id))
}
