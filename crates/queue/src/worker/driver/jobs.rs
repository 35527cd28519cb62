//! The jobs a worker holds: started on the program's runtime, and taken back when their tasks end.

use std::sync::Arc;
use std::time::Duration;

use operator_core::{Job, JobId};
use tokio::time::Instant;

use super::Driver;
use super::served::Promise;
use crate::error::QueueError;
use crate::wire::outcome::{Outcome, RetryRules, Verdict};
use crate::worker::attempt::{self, Ended};
use crate::worker::call::{Called, Claimed, advance_scheduler};
use crate::worker::hold::Stay;
use crate::worker::lease::Lease;
use crate::worker::oversight::{StopCause, Watch};
use crate::worker::{ClaimedJob, Hold};

/// How long slots are kept for a claim that is not answered: much longer than an answer takes, and short enough that a
/// server which died does not hold up the queues of the others.
const PATIENCE: Duration = Duration::from_secs(1);

/// A job's task has ended.
pub(super) struct Finished {
    pub(super) queue: usize,
    pub(super) job: Arc<Job>,
    pub(super) token: Arc<str>,
    pub(super) ended: Ended,
    /// Whether it left the attempt by its own wish.
    pub(super) stay: Stay,
}

impl Driver {
    /// Keeps slots for a claim of this queue.
    pub(super) fn promise(&mut self, position: usize, token: &Arc<str>, slots: usize) {
        self.promised += slots;
        let promise = Promise { token: Arc::clone(token), slots, until: Instant::now() + PATIENCE };
        self.queues[position].promises.push(promise);
    }

    /// Frees the slots that are kept for this claim of the queue; false when they were not kept any more.
    pub(super) fn end_promise(&mut self, position: usize, token: &Arc<str>) -> bool {
        self.end_promises(position, |promise| promise.token == *token)
    }

    /// Frees the slots of all claims of the queue that were waited for long enough.
    pub(super) fn end_old_promises(&mut self, position: usize, now: Instant) {
        self.end_promises(position, |promise| now >= promise.until);
    }

    fn end_promises(&mut self, position: usize, is_over: impl Fn(&Promise) -> bool) -> bool {
        let mut freed = 0;
        self.queues[position].promises.retain(|promise| {
            let is_over = is_over(promise);
            freed += if is_over { promise.slots } else { 0 };
            !is_over
        });
        self.promised -= freed;
        freed > 0
    }

    /// Starts what a claim got. One that was answered too late for its promise has the slots that are free by now: the
    /// rest of its jobs go back in line, as all do that come when running jobs are told to stop.
    pub(super) fn on_claimed(&mut self, position: usize, token: &Arc<str>, mut claimed: Vec<Claimed>) {
        let is_in_time = self.end_promise(position, token);
        let room = match self.is_stopping() {
            true => 0,
            false if is_in_time => claimed.len(),
            false => self.free().min(claimed.len()),
        };
        let surplus = claimed.split_off(room);
        self.start_jobs(position, token, claimed);
        // Of those that have just been claimed.
        self.look(position);
        for Claimed { id, job } in surplus {
            match job {
                Ok(job) => self.hand_back(position, Arc::new(job), token),
                Err(error) => self.fail_unreadable(position, &id, token, &error),
            }
        }
    }

    fn start_jobs(&mut self, position: usize, token: &Arc<str>, claimed: Vec<Claimed>) {
        for Claimed { id, job } in claimed {
            match job {
                Ok(job) => self.start_job(position, Arc::new(job), token),
                Err(error) => self.fail_unreadable(position, &id, token, &error),
            }
        }
        self.status.set_busy(self.tasks.len());
    }

    fn start_job(&mut self, position: usize, job: Arc<Job>, token: &Arc<str>) {
        self.hold(position, &job, token);
        let served = &mut self.queues[position];
        served.metrics.started(&job, served.queue.now_ms());
        if job.scheduler_id.is_some() {
            // Its slot is taken while the scheduler is advanced.
            self.promised += 1;
            let (queue, token) = (served.queue.clone(), Arc::clone(token));
            self.calls.push(Box::pin(async move {
                advance_scheduler(&queue, &job).await;
                Called::Advanced { queue: position, job, token }
            }));
        } else {
            self.run_job(position, job, Arc::clone(token));
        }
    }

    /// From now on the job's lock is renewed. If this worker still runs it under an older claim, that one was lost; an
    /// older one that is decided has ended, and only its answer is not here yet.
    fn hold(&mut self, position: usize, job: &Arc<Job>, token: &Arc<str>) {
        let served = &mut self.queues[position];
        let hold = Hold::new(served.queue.clone(), Arc::clone(job), Arc::clone(token), Arc::clone(&self.terms));
        let watch = Watch::begin(job, self.terms.patience.timeout);
        if let Some(older) = served.leases.hold(hold, watch).filter(|older| !older.is_decided) {
            self.end_lost(position, &older);
        }
    }

    /// Puts a claimed job back in line that cannot start.
    fn hand_back(&mut self, position: usize, job: Arc<Job>, token: &Arc<str>) {
        self.hold(position, &job, token);
        let outcome = Outcome { job, token: Arc::clone(token), verdict: Verdict::HandedBack, is_repeated: false };
        self.queues[position].decide(outcome);
    }

    /// Runs a held job, unless it was lost before it began, has to fail without running, or comes too late.
    pub(super) fn run_job(&mut self, position: usize, job: Arc<Job>, token: Arc<str>) {
        let is_stopping = self.is_stopping();
        let served = &mut self.queues[position];
        let Some(lease) = served.leases.get(job.id.as_str(), &token).filter(|lease| !lease.is_decided) else { return };
        let (hold, watch) = (lease.hold.clone(), lease.watch.clone());
        if is_stopping {
            return served.decide(Outcome { job, token, verdict: Verdict::HandedBack, is_repeated: false });
        }
        if let Some(failure) = self.terms.must_fail(&job) {
            let verdict = Verdict::of_failure(&job, failure, &RetryRules::default(), 0.0);
            return served.decide(Outcome { job, token, verdict, is_repeated: false });
        }
        let queue = served.queue.clone();
        let cancelled = watch.token().clone();
        let claimed = ClaimedJob { job: Arc::clone(&job), queue, hold: hold.clone(), cancelled, watch };
        let (handler, grace) = (Arc::clone(&self.handler), self.terms.patience.grace);
        let task = async move {
            let ended = attempt::run(handler, claimed, grace).await;
            Finished { queue: position, job, token, ended, stay: hold.stay() }
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// A job whose hash is not what the wire says fails for good: it would fail every worker.
    fn fail_unreadable(&mut self, position: usize, id: &str, token: &Arc<str>, error: &QueueError) {
        let queue = &self.queues[position].queue.name;
        tracing::error!(%queue, id, %error, "failing a job that is not readable");
        let job = Arc::new(Job::blank(queue.clone(), JobId::from_wire(id)));
        self.hold(position, &job, token);
        let verdict = Verdict::Failed { reason: error.to_string(), stacks: Vec::new() };
        self.queues[position].decide(Outcome { job, token: Arc::clone(token), verdict, is_repeated: false });
    }

    pub(super) fn on_finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        self.take_finished(finished);
        // Whatever else has finished goes into the same call.
        while let Some(finished) = self.tasks.try_join_next() {
            self.take_finished(finished);
        }
        self.status.set_busy(self.tasks.len());
    }

    pub(super) fn take_finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        let Ok(Finished { queue, job, token, ended, stay }) = finished else {
            // A panic of the run is caught inside. What is left is one of its parts as they are dropped, and the end of
            // the program's runtime.
            return tracing::error!("a job's task was aborted");
        };
        let served = &mut self.queues[queue];
        // One that was given up on has its outcome already.
        if served.leases.get(job.id.as_str(), &token).is_none_or(|lease| lease.is_decided) {
            return tracing::debug!(queue = %served.queue.name, id = %job.id, "dropped the result of a lost job");
        }
        if stay == Stay::Left {
            served.leases.release(job.id.as_str(), &token);
            // Nothing is settled, so nothing else asks for a job for its slot.
            served.is_ready = true;
            return;
        }
        let verdict = match ended {
            Ended::Result(Ok(result)) => Verdict::completed(&job, result),
            Ended::Result(Err(failure)) => Verdict::of_failure(&job, failure, &self.terms.rules, rand::random()),
            Ended::Cancelled => Verdict::cancelled(&job),
            Ended::GivenUp => Verdict::HandedBack,
        };
        // Stopped on its way out: it has left or is handed back, whichever came first.
        let is_repeated = stay == Stay::Leaving;
        served.decide(Outcome { job, token, verdict, is_repeated });
    }

    /// Another worker has the job, or will have: stop it and forget it.
    pub(super) fn lose(&mut self, position: usize, id: &str, token: &str) {
        let served = &mut self.queues[position];
        // One on its way out has let go of its lock by itself, perhaps; its end tells.
        if served.leases.get(id, token).is_some_and(|lease| lease.hold.stay() == Stay::Leaving) {
            return;
        }
        if let Some(lease) = served.leases.release(id, token) {
            self.end_lost(position, &lease);
        }
    }

    /// Stops the run of a job that is not held any more, unless it had left by itself.
    fn end_lost(&self, position: usize, lease: &Lease) {
        if lease.hold.stay() != Stay::Held {
            return;
        }
        let served = &self.queues[position];
        lease.watch.stop(StopCause::GivenUp);
        served.metrics.leases_lost.increment(1);
        self.status.add_lost();
        let id = lease.hold.job().id.as_str();
        tracing::warn!(queue = %served.queue.name, id, "lost a job: its lock expired or another worker took it");
    }
}
