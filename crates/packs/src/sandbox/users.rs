//! The users that programs run as: each program as one that no other program has at the time.
//!
//! What belongs to one program is then out of reach of the next by the oldest rules of the system, and the number of its
//! processes is counted apart.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;

use super::SandboxError;

/// The users for programs, or none when programs run as the worker's own.
pub(super) struct Users {
    range: Option<RangeInclusive<u32>>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    uids: BTreeSet<u32>,
    /// Where to look next: far from the last, so that what a user left behind is gone before it comes again.
    next: u32,
}

/// A user that one program has until this is dropped.
pub(super) struct User {
    uid: u32,
    taken: Arc<Mutex<Taken>>,
}

impl Users {
    /// Begins anywhere in the range, so that two workers of a machine hardly meet.
    pub(super) fn new(range: Option<RangeInclusive<u32>>) -> Self {
        let next = range.clone().map_or(0, |range| rand::rng().random_range(range));
        Self { range, taken: Arc::new(Mutex::new(Taken { uids: BTreeSet::new(), next })) }
    }

    pub(super) fn are_own(&self) -> bool {
        self.range.is_some()
    }

    /// A user that no program of this worker has; none when programs run as the worker's own.
    pub(super) fn take(&self) -> Result<Option<User>, SandboxError> {
        let Some(range) = &self.range else { return Ok(None) };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let from = taken.next;
        let uid = (from..=*range.end()).chain(*range.start()..from).find(|uid| !taken.uids.contains(uid));
        let uid = uid.ok_or(SandboxError::Users)?;
        taken.uids.insert(uid);
        taken.next = if uid == *range.end() { *range.start() } else { uid + 1 };
        Ok(Some(User { uid, taken: Arc::clone(&self.taken) }))
    }
}

impl User {
    pub(super) fn uid(&self) -> u32 {
        self.uid
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).uids.remove(&self.uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_a_user_of_its_own_until_it_ends() {
        let users = Users::new(Some(7000..=7002));
        let mut held: Vec<_> = (0..3).map(|_| users.take().unwrap().unwrap()).collect();
        let uids: BTreeSet<_> = held.iter().map(User::uid).collect();
        assert_eq!(uids, BTreeSet::from([7000, 7001, 7002]));
        assert!(matches!(users.take(), Err(SandboxError::Users)));
        let freed = held.pop().unwrap().uid();
        assert_eq!(users.take().unwrap().unwrap().uid(), freed);
        assert!(Users::new(None).take().unwrap().is_none());
    }
}
