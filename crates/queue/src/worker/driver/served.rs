//! The driver's state of one queue.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::Instant;

use crate::queue::Queue;
use crate::redis::RedisError;
use crate::wire::outcome::{Outcome, Verdict};
use crate::worker::call::Claim;
use crate::worker::hold::Stay;
use crate::worker::lease::Leases;
use crate::worker::metrics::QueueMetrics;
use crate::worker::waiter::pauses;

/// The most outcomes one call writes: bounds the script and the memory of its arguments.
pub(super) const MAX_OUTCOMES: usize = 500;
/// How often an outcome is sent by itself before it is given up: its job is then recovered as if its worker had died.
const MAX_TRIES: u32 = 5;

/// One queue that the worker serves.
pub(super) struct Served {
    pub(super) queue: Queue,
    pub(super) leases: Leases,
    pub(super) metrics: QueueMetrics,
    /// What has finished and is not written.
    pub(super) outcomes: Vec<Outcome>,
    /// How many outcomes the next call may carry: halved when a call is refused, to find the one that is to blame.
    pub(super) max_outcomes: usize,
    /// How often in a row a single outcome was refused.
    pub(super) tries: u32,
    /// There may be jobs to claim.
    pub(super) is_ready: bool,
    pub(super) is_calling: bool,
    /// Look again then: a delayed job is due, a rate limit ends, or an error has been waited out.
    pub(super) look_at: Option<Instant>,
    /// Not before: Redis did not answer, or a limit is used up.
    pub(super) blocked_until: Option<Instant>,
    /// Claims whose answer was lost; their slots stay promised until we know what they got.
    pub(super) lost_claims: Vec<Claim>,
    pub(super) pauses: ExponentialBackoff,
}

impl Served {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            leases: Leases::default(),
            metrics: QueueMetrics::new(&queue.name),
            queue,
            outcomes: Vec::new(),
            max_outcomes: MAX_OUTCOMES,
            tries: 0,
            is_ready: true,
            is_calling: false,
            look_at: None,
            blocked_until: None,
            lost_claims: Vec::new(),
            pauses: pauses(),
        }
    }

    pub(super) fn is_blocked(&self, now: Instant) -> bool {
        self.blocked_until.is_some_and(|until| now < until)
    }

    pub(super) fn look_after(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.look_at = Some(self.look_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// A call with these outcomes was refused: try half of them, then those behind them.
    pub(super) fn suspect(&mut self, outcomes: &mut Vec<Outcome>) {
        self.max_outcomes = (outcomes.len() / 2).max(1);
        if outcomes.len() > 1 {
            return;
        }
        self.tries += 1;
        if self.tries >= MAX_TRIES {
            self.tries = 0;
            for outcome in outcomes.drain(..) {
                let id = outcome.job.id.as_str();
                self.leases.release(id, &outcome.token);
                tracing::error!(queue = %self.queue.name, id, "cannot write the outcome of a job; leaving it to recovery");
            }
        }
    }

    /// Hands back every job that has no outcome yet, whatever its task still does.
    pub(super) fn hand_back_all(&mut self) {
        let settled: HashSet<_> = self.outcomes.iter().map(|outcome| outcome.job.id.clone()).collect();
        let held = self.leases.iter().filter(|lease| !settled.contains(&lease.hold.job().id));
        self.outcomes.extend(held.map(|lease| Outcome {
            job: Arc::clone(lease.hold.job()),
            token: Arc::clone(lease.hold.shared_token()),
            verdict: Verdict::HandedBack,
            is_repeated: lease.hold.stay() == Stay::Leaving,
        }));
    }

    pub(super) fn pause(&mut self, error: &RedisError) {
        let pause = self.pauses.next().unwrap_or(Duration::from_secs(2));
        tracing::warn!(queue = %self.queue.name, %error, ?pause, "cannot settle or claim; trying again");
        self.blocked_until = Some(Instant::now() + pause);
    }
}
