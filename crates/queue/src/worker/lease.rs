//! What this process holds: which jobs, under which tokens.

use std::collections::HashMap;
use std::sync::Arc;

use super::hold::{Hold, Stay};
use super::oversight::{StopCause, Watch};

/// A held job: from its claim until its outcome is written.
pub(super) struct Lease {
    /// The job and the token that proves the holding to every script. The job shares it, and may move itself away.
    pub(super) hold: Hold,
    /// Stops the job.
    pub(super) watch: Watch,
    /// Its outcome is on the way to the server, or waits for it.
    pub(super) is_decided: bool,
}

/// The held jobs of one queue, by id.
#[derive(Default)]
pub(super) struct Leases(HashMap<String, Lease>);

impl Leases {
    /// Holds the job. Returns its lease under an older token, which another claim has ended.
    pub(super) fn hold(&mut self, hold: Hold, watch: Watch) -> Option<Lease> {
        let lease = Lease { hold, watch, is_decided: false };
        self.0.insert(lease.hold.job().id.to_string(), lease)
    }

    /// Notes that the job held under `token` has an outcome.
    pub(super) fn decide(&mut self, id: &str, token: &str) {
        if let Some(lease) = self.0.get_mut(id).filter(|lease| lease.hold.token() == token) {
            lease.is_decided = true;
        }
    }

    /// Whether `token` still holds the job.
    pub(super) fn holds(&self, id: &str, token: &str) -> bool {
        self.get(id, token).is_some()
    }

    /// The job that is held under `token`.
    pub(super) fn get(&self, id: &str, token: &str) -> Option<&Lease> {
        self.0.get(id).filter(|lease| lease.hold.token() == token)
    }

    /// Ends the holding of a job under `token`; a later claim of the same job is not touched.
    pub(super) fn release(&mut self, id: &str, token: &str) -> Option<Lease> {
        if self.holds(id, token) { self.0.remove(id) } else { None }
    }

    /// Ids and tokens, for renewal.
    pub(super) fn list(&self) -> Vec<(String, Arc<str>)> {
        self.iter().map(|lease| (lease.hold.job().id.to_string(), Arc::clone(lease.hold.shared_token()))).collect()
    }

    /// Those that have not left by themselves.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.0.values().filter(|lease| lease.hold.stay() != Stay::Left)
    }

    /// Ids and tokens of those that are named, as far as they are held.
    pub(super) fn find(&self, ids: &[String]) -> Vec<(String, Arc<str>)> {
        let held = ids.iter().filter_map(|id| Some((id.clone(), Arc::clone(self.0.get(id)?.hold.shared_token()))));
        held.collect()
    }

    pub(super) fn give_up_all(&self) {
        self.0.values().for_each(|lease| lease.watch.stop(StopCause::GivenUp));
    }

    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }
}
