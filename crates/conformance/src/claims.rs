//! Which claim a held job goes back to: outcomes name only the job, and may bring along another claim of the same
//! worker under the same token.

use std::collections::BTreeMap;

use crate::operation::{Claim, Operation};

/// The claims of a sequence by the names of their jobs.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_name: BTreeMap<String, Claim>,
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
        Some(Claim { bind: next.bind.clone(), ..self.by_name.get(job)?.clone() })
    }

    /// Remembers a claim that has given a job.
    pub(crate) fn hold(&mut self, claim: Claim) {
        self.by_name.insert(claim.bind.clone(), claim);
    }

    /// The worker that holds or held a job.
    pub(crate) fn worker(&self, job: &str) -> Option<&str> {
        self.by_name.get(job).map(|claim| claim.worker.as_str())
    }
}
