//! What holds in every queue at every moment between two operations, whoever did them: a checker of whole keyspaces.
//!
//! It needs no history, so it can be pointed at any keyspace that stands still. What it cannot see there it is told in
//! [`Circumstances`].

mod view;

mod attempts;
mod counters;
mod deduplication;
mod families;
mod locks;
mod markers;
mod schedulers;
mod scores;
mod states;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::keyspace::Keyspace;
use view::QueueView;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// A job is in one state, once.
    OneState,
    /// What stands in a state is a job.
    EntryIsJob,
    /// A job is in a state.
    JobHasState,
    /// Only jobs that have finished say when, and they do so with the score they are found under.
    FinishedOn,
    /// A failure that was decided beforehand is gone when the job has failed.
    DecidedFailure,
    /// Only active jobs have locks.
    LockIsOfActive,
    /// Active jobs have locks that end, unless their worker is gone.
    ActiveHasLock,
    /// When something can start and nobody is about to look, a marker says so.
    BaseMarker,
    /// When something is delayed and nobody is about to look, a marker says until when at the latest.
    DelayMarker,
    /// A pending child is a job that names its parent and has not completed.
    PendingChild,
    /// A child is pending, processed, ignored or unsuccessful, and only one of these.
    ChildIsOneThing,
    /// A job that waits for its children has some to wait for.
    ParentWaits,
    /// Counters are whole, and no generated id is beyond its counter.
    Counters,
    /// The limiter ends by itself, and counts no more than a limit allows.
    Limiter,
    /// Counts of finished jobs are whole and not negative.
    Metrics,
    /// A deduplication id that does not end by itself is not owned by a job that has finished.
    DeduplicationOwner,
    /// A job is kept for later only while the owner of its deduplication id has not finished.
    KeptForLater,
    /// A scheduler has its settings, and one job that has not started, unless it is past its end.
    Scheduler,
    /// A job has not ended more often than it was started.
    Attempts,
    /// A prioritized job is found under its priority.
    PriorityScore,
    /// A delayed job is found under a time that fits its delay.
    DelayScore,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// What should.
    pub invariant: Invariant,
    /// The key where that shows.
    pub key: String,
    /// What is there.
    pub problem: String,
}

/// What a keyspace does not say by itself.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// What all keys begin with, before the first colon.
    pub prefix: String,
    /// The time of the queue's clock, epoch milliseconds.
    pub now_ms: u64,
    /// The whole keys of active jobs whose worker is gone without a word.
    pub abandoned: BTreeSet<String>,
    /// Queues of which a worker is awake: it will look for jobs by itself, so that no marker is needed.
    pub awake: BTreeSet<String>,
    /// The highest limit that any worker or queue had, if rates were limited.
    pub rate_max: u64,
}

impl Circumstances {
    /// A keyspace under this prefix at this time, in which all workers are well and nobody is about to look.
    #[must_use]
    pub fn new(prefix: &str, now_ms: u64) -> Self {
        Self {
            prefix: prefix.to_owned(),
            now_ms,
            abandoned: BTreeSet::new(),
            awake: BTreeSet::new(),
            rate_max: u64::MAX,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} {}", self.invariant, self.key, self.problem)
    }
}

/// Everything that does not hold.
#[must_use]
pub fn check(keys: &Keyspace, circumstances: &Circumstances) -> Vec<Violation> {
    let mut found = Findings::default();
    for queue in view::queues(keys, &circumstances.prefix) {
        states::check(&queue, &mut found);
        attempts::check(&queue, &mut found);
        locks::check(&queue, circumstances, &mut found);
        markers::check(&queue, circumstances, &mut found);
        families::check(keys, &queue, &mut found);
        counters::check(&queue, circumstances, &mut found);
        deduplication::check(&queue, &mut found);
        schedulers::check(&queue, circumstances, &mut found);
        scores::check(&queue, circumstances, &mut found);
    }
    found.violations.sort();
    found.violations
}

/// Gathers what does not hold.
#[derive(Debug, Default)]
struct Findings {
    violations: Vec<Violation>,
}

impl Findings {
    fn add(&mut self, invariant: Invariant, queue: &QueueView<'_>, suffix: &str, problem: impl Into<String>) {
        let key = queue.key(suffix);
        self.violations.push(Violation { invariant, key, problem: problem.into() });
    }

    /// Notes the problem unless the condition holds.
    fn unless(&mut self, holds: bool, invariant: Invariant, queue: &QueueView<'_>, suffix: &str, problem: &str) {
        if !holds {
            self.add(invariant, queue, suffix, problem);
        }
    }
}

#[cfg(test)]
mod tests;
