//! Which claim a held job goes back to: outcomes name only the job, and may bring along another claim of the same
//! worker under the same token.

use std::collections::BTreeMap;

use crate::operation::{Claim, Operation};

/// The claims of a sequence by the names of their jobs.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_name: BTreeMap<String, (Claim, String)>,
    /// The queue of each worker.
    queues: BTreeMap<String, String>,
}

impl Claims {
    /// The claim that this operation is or brings along.
    pub(crate) fn of(&self, operation: &Operation) -> Option<Claim> {
        let (job, next) = match operation {
            Operation::Claim(claim) => return Some(claim.clone()),
            Operation::Complete(complete) => (&complete.job, complete.next.as_ref()?),
            Operation::Fail(fail) => (&fail.job, fail.next.as_ref()?),
            _ => return None,
        };
        let (before, _) = self.by_name.get(job)?;
        Some(Claim { bind: next.bind.clone(), ..before.clone() })
    }

    /// Remembers a claim that has given the job with this id.
    pub(crate) fn hold(&mut self, claim: Claim, id: &str) {
        self.by_name.insert(claim.bind.clone(), (claim, id.to_owned()));
    }

    /// Every claim that has given a job, with the id of that.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&Claim, &str)> {
        self.by_name.values().map(|(claim, id)| (claim, id.as_str()))
    }

    /// Remembers the queue of a worker, if this declares one.
    pub(crate) fn declare(&mut self, operation: &Operation) {
        if let Operation::Worker(worker) = operation {
            self.queues.insert(worker.worker.clone(), worker.queue.clone());
        }
    }

    /// The queue that an operation is about: its own, or that of the worker it names directly or by a held job.
    pub(crate) fn queue(&self, operation: &Operation) -> String {
        let operation = operation.to_json();
        let named = |field: &str| operation[field].as_str().map(str::to_owned);
        let worker = || named("worker").or_else(|| self.worker(&named("job")?).map(str::to_owned));
        named("queue").or_else(|| self.queues.get(&worker()?).cloned()).unwrap_or_default()
    }

    /// The workers of a queue.
    pub(crate) fn workers(&self, queue: &str) -> Vec<String> {
        self.queues.iter().filter(|(_, of)| *of == queue).map(|(worker, _)| worker.clone()).collect()
    }

    /// The worker that holds or held a job.
    pub(crate) fn worker(&self, job: &str) -> Option<&str> {
        self.by_name.get(job).map(|(claim, _)| claim.worker.as_str())
    }
}
