//! Which claim a held job goes back to: outcomes name only the job, and may bring along another claim of the same
//! worker under the same token.

use std::collections::BTreeMap;

use crate::operation::{Claim, Operation};

/// The claims of a sequence by the names of their jobs.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_name: BTreeMap<String, (Claim, String)>,
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

    /// The worker that holds or held a job.
    pub(crate) fn worker(&self, job: &str) -> Option<&str> {
        self.by_name.get(job).map(|(claim, _)| claim.worker.as_str())
    }
}
