//! The driver's state of one queue.

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
/// The most bytes of results and reasons that one call carries, so that large ones do not hold the server up.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How often an outcome that the script fails of is sent by itself before it is given up: its job is then recovered as
/// if its worker had died.
const MAX_TRIES: u32 = 5;
/// How often when it is refused for another reason, such as rights or a password that are being changed: two minutes.
const MAX_PATIENT_TRIES: u32 = 60;

/// How many calls that settle and claim are under way at a time: while Redis works on one, the jobs of the other run and
/// their outcomes gather. A third would find both busy, and make batches smaller.
pub(super) const MAX_CALLS: usize = 2;

/// Slots kept for a claim.
pub(super) struct Promise {
    /// The claim's.
    pub(super) token: Arc<str>,
    pub(super) slots: usize,
    /// Then others may have them, and what the claim got goes back in line if it finds none free.
    pub(super) until: Instant,
}

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
    /// How many calls that settle and claim are under way.
    pub(super) calls: usize,
    /// A lost claim is looked for.
    pub(super) is_reclaiming: bool,
    /// When jobs were last asked for.
    pub(super) asked_at: Instant,
    /// Look again then: a delayed job is due, a rate limit ends, or an error has been waited out.
    pub(super) look_at: Option<Instant>,
    /// Not before: Redis did not answer, or a limit is used up.
    pub(super) blocked_until: Option<Instant>,
    /// Claims whose answers were lost: nothing else is claimed until we know what they got. One that reaches the server
    /// only after that was asked holds jobs that nobody knows of; they are recovered as stalled.
    pub(super) lost_claims: Vec<Claim>,
    /// What is kept for each claim that is under way or lost, unless it was waited for long enough.
    pub(super) promises: Vec<Promise>,
    pub(super) pauses: ExponentialBackoff,
    /// Jobs that somebody is said to have cancelled, to be looked at.
    pub(super) noticed: Vec<String>,
    /// A look is under way.
    pub(super) is_looking: bool,
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
            calls: 0,
            is_reclaiming: false,
            asked_at: Instant::now(),
            look_at: None,
            blocked_until: None,
            lost_claims: Vec::new(),
            promises: Vec::new(),
            pauses: pauses(),
            noticed: Vec::new(),
            is_looking: false,
        }
    }

    pub(super) fn is_blocked(&self, now: Instant) -> bool {
        self.blocked_until.is_some_and(|until| now < until)
    }

    pub(super) fn look_after(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.look_at = Some(self.look_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// When something is to be done by the clock.
    pub(super) fn waits(&self) -> impl Iterator<Item = Instant> {
        let promises = self.promises.iter().map(|promise| promise.until);
        [self.look_at, self.blocked_until].into_iter().flatten().chain(promises)
    }

    /// Whether an answer is to come before which nothing else needs to be asked.
    pub(super) fn is_calling(&self) -> bool {
        self.calls > 0 || self.is_reclaiming
    }

    /// Whether a refused call is being searched for what was to blame.
    pub(super) fn is_careful(&self) -> bool {
        self.max_outcomes < MAX_OUTCOMES
    }

    /// A call with these outcomes was refused: try half of them, then those behind them.
    pub(super) fn suspect(&mut self, outcomes: &mut Vec<Outcome>, error: &RedisError) {
        self.max_outcomes = (outcomes.len() / 2).max(1);
        if outcomes.len() > 1 {
            return;
        }
        self.tries += 1;
        if self.tries >= if error.blames_arguments() { MAX_TRIES } else { MAX_PATIENT_TRIES } {
            self.tries = 0;
            for outcome in outcomes.drain(..) {
                let id = outcome.job.id.as_str();
                self.leases.release(id, &outcome.token);
                tracing::error!(queue = %self.queue.name, id, "cannot write the outcome of a job; leaving it to recovery");
            }
        }
    }

    /// The outcomes that the next call writes: at least one, and then as many as may go together, `most` of them.
    pub(super) fn take_outcomes(&mut self, most: usize) -> Vec<Outcome> {
        let mut bytes = 0;
        let fitting = self.outcomes.iter().take(self.max_outcomes.min(most)).take_while(|outcome| {
            bytes += outcome.bytes();
            bytes <= MAX_BYTES
        });
        let count = fitting.count().max(1).min(self.outcomes.len());
        self.outcomes.drain(..count).collect()
    }

    /// Has an outcome written with the next call.
    pub(super) fn decide(&mut self, outcome: Outcome) {
        self.leases.decide(outcome.job.id.as_str(), &outcome.token);
        self.outcomes.push(outcome);
    }

    /// Hands back every job that has no outcome yet, whatever its task still does.
    pub(super) fn hand_back_all(&mut self) {
        let undecided = self.leases.iter().filter(|lease| !lease.is_decided);
        let outcomes: Vec<Outcome> = undecided
            .map(|lease| Outcome {
                job: Arc::clone(lease.hold.job()),
                token: Arc::clone(lease.hold.shared_token()),
                verdict: Verdict::HandedBack,
                is_repeated: lease.hold.stay() == Stay::Leaving,
            })
            .collect();
        outcomes.into_iter().for_each(|outcome| self.decide(outcome));
    }

    /// Leaves the queue alone for a while. Calls that were under way together fail together, and pause it once.
    pub(super) fn pause(&mut self, error: &RedisError) {
        if self.is_blocked(Instant::now()) {
            return tracing::debug!(queue = %self.queue.name, %error, "cannot settle or claim");
        }
        let pause = self.pauses.next().unwrap_or(Duration::from_secs(2));
        tracing::warn!(queue = %self.queue.name, %error, ?pause, "cannot settle or claim; trying again");
        self.blocked_until = Some(Instant::now() + pause);
    }
}
