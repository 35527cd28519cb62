//! What this process holds: which jobs, under which tokens.

use std::collections::HashMap;
use std::sync::Arc;

use operator_core::Job;
use tokio_util::sync::CancellationToken;

/// A held job: from its claim until its outcome is written.
pub(super) struct Lease {
    pub(super) job: Arc<Job>,
    /// Proves ownership to every script.
    pub(super) token: Arc<str>,
    /// Stops the job.
    pub(super) cancelled: CancellationToken,
}

/// The held jobs of one queue, by id.
#[derive(Default)]
pub(super) struct Leases(HashMap<String, Lease>);

impl Leases {
    pub(super) fn hold(&mut self, lease: Lease) {
        self.0.insert(lease.job.id.to_string(), lease);
    }

    /// Whether `token` still holds the job.
    pub(super) fn holds(&self, id: &str, token: &str) -> bool {
        self.0.get(id).is_some_and(|lease| &*lease.token == token)
    }

    /// What stops the job that is held under `token`.
    pub(super) fn stop_of(&self, id: &str, token: &str) -> Option<CancellationToken> {
        self.0.get(id).filter(|lease| &*lease.token == token).map(|lease| lease.cancelled.clone())
    }

    /// Ends the holding of a job under `token`; a later claim of the same job is not touched.
    pub(super) fn release(&mut self, id: &str, token: &str) -> Option<Lease> {
        if self.holds(id, token) { self.0.remove(id) } else { None }
    }

    /// Ids and tokens, for renewal.
    pub(super) fn list(&self) -> Vec<(String, Arc<str>)> {
        self.0.iter().map(|(id, lease)| (id.clone(), Arc::clone(&lease.token))).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.0.values()
    }

    pub(super) fn cancel_all(&self) {
        self.0.values().for_each(|lease| lease.cancelled.cancel());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
