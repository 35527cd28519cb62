//! What the driver, which has a thread of its own, sees of jobs that do not let go of theirs: a runtime that runs nothing
//! any more, attempts that do not stop, and jobs that somebody cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;

use super::Driver;
use crate::wire::outcome::{Outcome, Verdict};
use crate::worker::call::Called;
use crate::worker::oversight::StopCause;

/// How often the runtime of the jobs is tried, and how long it may take to run nothing at all.
const PERIOD: Duration = Duration::from_secs(1);

/// How much longer than its grace an attempt may take before it is settled without its consent.
const OVERDUE: Duration = Duration::from_secs(1);

/// How many running jobs the warning of a starved runtime names.
const MAX_NAMED: usize = 10;

/// How many notices are kept of jobs that are not held here, until the next claim is answered.
const MAX_NOTICED: usize = 1000;

/// Tries whether the runtime of the jobs still runs what it is given.
pub(super) struct Watchdog {
    next: Instant,
    /// When the last probe was sent, and whether it ran: it sets that itself.
    probe: Option<(Instant, Arc<AtomicBool>)>,
    is_starved: bool,
    starved: Gauge,
}

impl Watchdog {
    pub(super) fn new(now: Instant) -> Self {
        let starved = metrics::gauge!("operator_runtime_starved_seconds");
        starved.set(0.0);
        Self { next: now + PERIOD, probe: None, is_starved: false, starved }
    }
}

impl Driver {
    /// When the runtime is to be tried; not while it has nothing to run.
    pub(super) fn next_probe(&self) -> Instant {
        let is_needed = !self.tasks.is_empty() || self.watchdog.probe.is_some();
        if is_needed { self.watchdog.next } else { self.watchdog.next.max(self.renew_at) }
    }

    pub(super) fn watch_runtime(&mut self, now: Instant) {
        if now < self.watchdog.next {
            return;
        }
        self.watchdog.next = now + PERIOD;
        let late = self.watchdog.probe.as_ref().filter(|(_, has_run)| !has_run.load(Ordering::Relaxed));
        if let Some((sent, _)) = late {
            let silent = now - *sent;
            self.watchdog.starved.set(silent.as_secs_f64());
            self.status.set_starved(silent);
            if !self.watchdog.is_starved {
                self.watchdog.is_starved = true;
                let jobs = self.running_names().join(", ");
                tracing::warn!(?silent, jobs, "jobs block the runtime: nothing else runs; move blocking work off it");
            }
            return;
        }
        if self.watchdog.probe.take().is_some() && self.watchdog.is_starved {
            self.watchdog.is_starved = false;
            self.watchdog.starved.set(0.0);
            self.status.set_starved(Duration::ZERO);
            tracing::info!("the runtime of the jobs runs again");
        }
        if !self.tasks.is_empty() {
            let has_run = Arc::new(AtomicBool::new(false));
            self.watchdog.probe = Some((now, Arc::clone(&has_run)));
            self.runtime.spawn(async move { has_run.store(true, Ordering::Relaxed) });
        }
    }

    fn running_names(&self) -> Vec<String> {
        let leases = self.queues.iter().flat_map(|served| served.leases.iter());
        let undecided = leases.filter(|lease| !lease.is_decided);
        undecided.take(MAX_NAMED).map(|lease| format!("{} ({})", lease.hold.job().name, lease.hold.job().id)).collect()
    }

    /// Settles attempts that were told to stop, or passed a limit, and do not let go of their threads: what they still do
    /// has no effect. Their slots are theirs until they end.
    pub(super) fn give_up_overdue(&mut self) {
        let grace = self.terms.patience.grace + OVERDUE;
        for served in &mut self.queues {
            let overdue = served.leases.iter().filter(|lease| !lease.is_decided && lease.watch.is_overdue(grace));
            let outcomes: Vec<Outcome> = overdue
                .map(|lease| {
                    let job = Arc::clone(lease.hold.job());
                    let passed = || lease.watch.passed(std::time::Instant::now());
                    let verdict = match lease.watch.cause().or_else(passed) {
                        Some(cause @ (StopCause::TimedOut | StopCause::Silent)) => {
                            Verdict::of_failure(&job, lease.watch.failure(cause), &self.terms.rules, rand::random())
                        }
                        _ => Verdict::cancelled(&job),
                    };
                    Outcome { job, token: Arc::clone(lease.hold.shared_token()), verdict, is_repeated: false }
                })
                .collect();
            for outcome in outcomes {
                let (queue, id) = (&served.queue.name, outcome.job.id.as_str());
                tracing::warn!(%queue, id, name = outcome.job.name, "a job does not stop; its attempt is ended without it");
                served.decide(outcome);
            }
        }
    }

    /// Somebody is said to have cancelled a job: what its hash says counts.
    pub(super) fn on_notice(&mut self, position: usize, id: String) {
        let noticed = &mut self.queues[position].noticed;
        if noticed.len() < MAX_NOTICED {
            noticed.push(id);
        }
        self.look(position);
    }

    /// Looks at the jobs that were noticed, if they are held; one that is not may be among those of a claim whose answer
    /// is under way.
    pub(super) fn look(&mut self, position: usize) {
        let served = &mut self.queues[position];
        if served.noticed.is_empty() || served.is_looking {
            return;
        }
        let leases = served.leases.find(&served.noticed);
        if !served.is_calling() || leases.len() == served.noticed.len() {
            served.noticed.clear();
        } else {
            let held: std::collections::HashSet<&str> = leases.iter().map(|(id, _)| id.as_str()).collect();
            served.noticed.retain(|id| !held.contains(id.as_str()));
        }
        if leases.is_empty() {
            return;
        }
        served.is_looking = true;
        let (terms, queue) = (Arc::clone(&self.terms), served.queue.clone());
        self.calls.push(Box::pin(async move {
            Called::Extended { queue: position, answer: terms.extend(&queue, leases).await, is_look: true }
        }));
    }
}
