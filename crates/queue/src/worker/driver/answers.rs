//! What the driver makes of the answers to its calls.

use std::sync::Arc;
use std::time::Duration;

use super::Driver;
use super::served::MAX_OUTCOMES;
use crate::error::Refusal;
use crate::redis::RedisError;
use crate::wire::outcome::{Outcome, Verdict};
use crate::worker::call::{Called, Extended, Settle, Settled};
use crate::worker::oversight::StopCause;

impl Driver {
    pub(super) fn on_called(&mut self, called: Called) {
        match called {
            Called::Settled { queue, request, answer } => {
                self.queues[queue].calls -= 1;
                match answer {
                    Ok(settled) => self.on_settled(queue, request, settled),
                    Err(error) => self.on_settle_failed(queue, request, &error),
                }
            }
            Called::Reclaimed { queue, claim, answer } => {
                self.queues[queue].is_reclaiming = false;
                match answer {
                    Ok(jobs) => {
                        // The pauses between failing calls go on growing: this says nothing of those.
                        self.status.contact();
                        self.on_claimed(queue, &claim.token, jobs);
                    }
                    Err(error) => {
                        // What it got, if anything, is recovered as stalled.
                        if error.blames_arguments() {
                            self.end_promise(queue, &claim.token);
                        } else {
                            self.queues[queue].lost_claims.push(claim);
                        }
                        self.queues[queue].pause(&error);
                    }
                }
            }
            Called::Extended { queue, answer, is_look } => {
                match answer {
                    Ok(extended) => self.on_extended(queue, &extended),
                    Err(error) => tracing::warn!(queue = %self.queues[queue].queue.name, %error, "cannot renew locks"),
                }
                if is_look {
                    self.queues[queue].is_looking = false;
                    self.look(queue);
                }
            }
            Called::Checked { queue, answer } => match answer {
                Ok(ids) if ids.is_empty() => self.status.contact(),
                Ok(ids) => {
                    let count = ids.len() as u64;
                    self.status.contact();
                    let served = &mut self.queues[queue];
                    served.metrics.stalled.increment(count);
                    served.is_ready = true;
                    tracing::warn!(queue = %served.queue.name, count, "put jobs of silent workers back in line");
                }
                Err(error) => {
                    tracing::warn!(queue = %self.queues[queue].queue.name, %error, "cannot check for stalled jobs")
                }
            },
            Called::Advanced { queue, job, token } => {
                self.promised -= 1;
                self.run_job(queue, job, token);
                self.status.set_busy(self.tasks.len());
            }
            Called::Pinged(is_answered) => {
                if is_answered {
                    self.status.contact();
                }
            }
            Called::Woken => {}
        }
    }

    fn on_extended(&mut self, queue: usize, extended: &Extended) {
        self.status.contact();
        // What has an outcome hears of its lock with that: an earlier call may have written it.
        let undecided = |(id, token): &&(String, Arc<str>)| {
            self.queues[queue].leases.get(id, token).is_some_and(|lease| !lease.is_decided)
        };
        for (id, token) in extended.cancelled.iter().filter(undecided) {
            if let Some(lease) = self.queues[queue].leases.get(id, token) {
                lease.watch.stop(StopCause::Cancelled);
            }
        }
        let lost: Vec<_> = extended.lost.iter().filter(undecided).collect();
        lost.iter().for_each(|(id, token)| self.lose(queue, id, token));
    }

    pub(super) fn on_settled(&mut self, position: usize, request: Settle, settled: Settled) {
        self.contact(position);
        let mut refused = settled.refused.into_iter().peekable();
        for (index, outcome) in request.outcomes.into_iter().enumerate() {
            let refusal = refused.next_if(|(at, _)| *at == index).map(|(_, refusal)| refusal);
            self.on_outcome(position, &outcome, refusal);
        }
        let served = &mut self.queues[position];
        served.max_outcomes = (served.max_outcomes * 2).min(MAX_OUTCOMES);
        served.tries = 0;
        if request.claim.count > 0 {
            served.is_ready |= settled.claimed.len() == request.claim.count;
            if let Some(due_ms) = settled.next_due_ms {
                served.look_after(Duration::from_millis(due_ms.saturating_sub(served.queue.now_ms()).max(1)));
            }
            if let Some(limited_for) = settled.limited_for {
                served.look_after(limited_for);
            }
        }
        self.on_claimed(position, &request.claim.token, settled.claimed);
    }

    /// An outcome was written, or refused because the job is someone else's by now.
    pub(super) fn on_outcome(&mut self, position: usize, outcome: &Outcome, refusal: Option<Refusal>) {
        let served = &mut self.queues[position];
        let id = outcome.job.id.as_str();
        match refusal {
            None => {
                served.leases.release(id, &outcome.token);
                served.metrics.settled(&outcome.verdict);
                if let Some(drain) = &mut self.drain {
                    match outcome.verdict {
                        Verdict::HandedBack => drain.report.handed_back += 1,
                        _ => drain.report.settled += 1,
                    }
                }
            }
            // An earlier call wrote it and its answer was lost, or the job was lost meanwhile: both are settled.
            Some(refusal) if refusal.is_lost_ownership() && outcome.is_repeated => {
                served.leases.release(id, &outcome.token);
            }
            Some(refusal) if refusal.is_lost_ownership() => self.lose(position, id, &outcome.token),
            // Whatever became of it: it was cancelled meanwhile.
            Some(Refusal::Cancelled) => {
                served.decide(Outcome { verdict: Verdict::cancelled(&outcome.job), ..outcome.clone() });
            }
            // A parent that cannot complete: its children are in the way, and waiting does not help.
            Some(refusal) => {
                let verdict = Verdict::failed(&outcome.job, &format!("job {id} {refusal}"));
                served.decide(Outcome { verdict, ..outcome.clone() });
            }
        }
    }

    /// Nothing is known of the call: keep the outcomes for the next, and find out what the claim got.
    pub(super) fn on_settle_failed(&mut self, position: usize, mut request: Settle, error: &RedisError) {
        let is_ambiguous = error.is_ambiguous();
        if !is_ambiguous && !request.outcomes.is_empty() {
            self.queues[position].suspect(&mut request.outcomes, error);
        }
        for outcome in &mut request.outcomes {
            outcome.is_repeated |= is_ambiguous;
        }
        let served = &mut self.queues[position];
        request.outcomes.append(&mut served.outcomes);
        served.outcomes = request.outcomes;
        served.is_ready = true;
        // Also a script that failed may have claimed before.
        if request.claim.count > 0 {
            served.lost_claims.push(request.claim);
        }
        self.queues[position].pause(error);
    }
}
