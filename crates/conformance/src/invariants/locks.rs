//! Who holds what.

use super::view::QueueView;
use super::{Circumstances, Findings, Invariant};

pub(super) fn check(queue: &QueueView<'_>, circumstances: &Circumstances, found: &mut Findings) {
    let active = queue.members("active");
    for (id, _) in queue.ending(":lock") {
        found.unless(active.contains(&id), Invariant::LockIsOfActive, queue, id, "is locked, but not active");
    }
    for id in active {
        if circumstances.abandoned.contains(&queue.key(id)) {
            continue;
        }
        match queue.entry(&format!("{id}:lock")) {
            None => found.add(Invariant::ActiveHasLock, queue, id, "is active without a lock"),
            Some(lock) => found.unless(lock.expires, Invariant::ActiveHasLock, queue, id, "has a lock that never ends"),
        }
    }
}
