//! The differences we declare: where BullMQ does what nobody can want, we do something else, and only there.
//!
//! Each is recognised by a function of its own, place by place. It must be exact: what it lets pass is not compared.

mod leftovers;
mod line;
mod markers;
mod meantime;
mod refusals;

mod look;

use serde::Serialize;

use crate::answer::Answer;
use crate::keyspace::Keyspace;
use crate::operation::Operation;
use crate::verdict::Unequal;

/// A difference on purpose.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Difference {
    /// What it is called.
    pub id: &'static str,
    /// What BullMQ does and what we do instead.
    pub sentence: &'static str,
    /// Whether this place differs in exactly this way.
    #[serde(skip)]
    explains: fn(&Moment<'_>, &Unequal) -> bool,
}

/// A step that both subjects have taken; keyspaces and answers are in their normal form.
#[derive(Debug)]
pub struct Moment<'a> {
    /// What was done.
    pub operation: &'a Operation,
    /// What was in both databases.
    pub before: &'a Keyspace,
    /// What BullMQ made of it.
    pub node: (&'a Answer, &'a Keyspace),
    /// What we made of it.
    pub ours: (&'a Answer, &'a Keyspace),
}

/// Every declared difference. A run over all scripted sequences fails when one of them does not occur.
pub static DIFFERENCES: &[Difference] = &[
    Difference {
        id: "refused-input",
        sentence: "BullMQ takes numbers out of their range, options it does not know and ids that are the names of its \
                   own keys, and breaks on them later; we refuse them before anything is written.",
        explains: refusals::of_input,
    },
    Difference {
        id: "refused-whole",
        sentence: "When a child of a flow has another parent already, BullMQ adds the rest and leaves the new parent \
                   waiting for ever; we add nothing and say why.",
        explains: refusals::of_flows,
    },
    Difference {
        id: "refused-writes-nothing",
        sentence: "A script of BullMQ that refuses may have written before it found out; ours look first.",
        explains: refusals::that_write_nothing,
    },
    Difference {
        id: "manual-rate-limit",
        sentence: "BullMQ's workers without a limiter do not honour `rateLimit` of a queue without one; ours do.",
        explains: refusals::of_claims,
    },
    Difference {
        id: "ghosts",
        sentence: "BullMQ claims and recovers ids whose job is gone, which makes a job without name and data; we drop \
                   them.",
        explains: line::ghosts,
    },
    Difference {
        id: "place-in-line",
        sentence: "BullMQ forgets the priority or `lifo` of jobs that are promoted, retried in bulk, recovered or \
                   released by a removal; with us they keep their place in line.",
        explains: |moment, unequal| line::places(moment, unequal) || meantime::removed_parents(moment, unequal),
    },
    Difference {
        id: "kept-events",
        sentence: "When its settings do not say how many events a queue keeps, BullMQ adds the default in those scripts \
                   that need it; we do so in every one.",
        explains: meantime::kept_events,
    },
    Difference {
        id: "drained-iterations",
        sentence: "When a job of a scheduler stands in a line that is drained, BullMQ may drop that and keep the id of \
                   another; we keep the scheduler's.",
        explains: line::drained_iterations,
    },
    Difference {
        id: "paused-schedulers",
        sentence: "BullMQ does not find the pending job of a scheduler that is changed while its queue is paused, and \
                   adds a second one; we replace it.",
        explains: leftovers::of_paused_schedulers,
    },
    Difference {
        id: "occupied-slots",
        sentence: "A scheduler of BullMQ that is changed in the very millisecond of its running job writes over that job \
                   and puts it in line once more; we refuse.",
        explains: refusals::of_occupied_slots,
    },
    Difference {
        id: "gone-children",
        sentence: "BullMQ cannot read a flow of which a child is gone; we leave that child out.",
        explains: refusals::of_flows_with_gaps,
    },
    Difference {
        id: "obliterated-whole",
        sentence: "BullMQ leaves parents that wait for children, the limiter and deduplication ids behind when a queue \
                   is obliterated; we leave nothing.",
        explains: leftovers::of_obliterating,
    },
    Difference {
        id: "orphans-spared",
        sentence: "BullMQ takes every key it does not know for an orphaned job, and the failures' metrics, too; we \
                   remove only what looks like a job.",
        explains: leftovers::that_are_no_orphans,
    },
    Difference {
        id: "removed-locks",
        sentence: "BullMQ leaves the lock of a removed job behind, and a new job of that id inherits it; with us it \
                   goes, too.",
        explains: leftovers::of_locks,
    },
    Difference {
        id: "others-deduplication",
        sentence: "When BullMQ cleans a job out, it deletes its deduplication id, even if another job owns that by now; \
                   we leave that to its owner.",
        explains: leftovers::of_other_owners,
    },
    Difference {
        id: "vanished-parent",
        sentence: "BullMQ notes the failure of a child for a parent whose job is gone; we have nobody to tell.",
        explains: leftovers::of_vanished_parents,
    },
    Difference {
        id: "trimmed-last",
        sentence: "BullMQ removes older finished jobs before it tells how this one ended, we remove them at the end of a \
                   call; so what their removal releases is told later.",
        explains: meantime::trimmed_last,
    },
    Difference {
        id: "markers",
        sentence: "BullMQ leaves out the marker for some of the jobs that go back in line or are delayed, and sleeping \
                   workers find them late; we always set it, but for no job that is replaced in the same step.",
        explains: markers::more,
    },
];

/// The declared difference that explains this place, if there is one.
pub(crate) fn explaining(moment: &Moment<'_>, unequal: &Unequal) -> Option<&'static str> {
    DIFFERENCES.iter().find(|difference| (difference.explains)(moment, unequal)).map(|difference| difference.id)
}
