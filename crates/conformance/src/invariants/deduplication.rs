//! Who stands for a deduplication id, and what is kept until that job has finished.

use super::view::QueueView;
use super::{Findings, Invariant};
use crate::keyspace::Content;

pub(super) fn check(queue: &QueueView<'_>, found: &mut Findings) {
    let has_finished = |id: &str| queue.is_in(id, &["completed", "failed"]);
    for (id, entry) in queue.beginning("de:") {
        let Content::Text(owner) = &entry.content else { continue };
        if entry.expires {
            continue;
        }
        // An owner that is gone holds nobody up: the next job to come takes its place.
        let problem = format!("is owned by {owner}, which has finished");
        found.unless(!has_finished(owner), Invariant::DeduplicationOwner, queue, &format!("de:{id}"), &problem);
    }
    for (id, _) in queue.beginning("dn:") {
        // Without an owner, because its id was removed by hand, it waits for the next.
        let owner = queue.text(&format!("de:{id}"));
        let is_live = owner.is_none_or(|owner| queue.hash(owner).is_some() && !has_finished(owner));
        found.unless(is_live, Invariant::KeptForLater, queue, &format!("dn:{id}"), "waits for a job that does not run");
    }
}
