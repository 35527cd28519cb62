//! What the driver does by the clock: renewing locks, looking for silent workers, and draining when it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt;
use tokio::time::Instant;

use super::Driver;
use super::served::Served;
use crate::worker::Drained;
use crate::worker::call::Called;
use crate::worker::waiter::pauses;

/// How long jobs that were told to stop may take to notice before they are handed back regardless.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long outcomes are tried to be written after the drain, when Redis is away.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How much longer than a sleep a queue is left unasked. Sleeps end by themselves; but a worker whose slots are never
/// all free does not sleep, and the queue whose jobs end would have every slot.
const NEGLECT: Duration = Duration::from_secs(1);
/// How long a marker that has left the server may take to get here.
const LAST_WAKE: Duration = Duration::from_millis(10);

/// A worker that was told to stop.
pub(super) struct Drain {
    pub(super) deadline: Instant,
    pub(super) stage: Stage,
    pub(super) report: Drained,
}

/// How far a drain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Running jobs may finish, until the deadline.
    Finishing,
    /// They were told to stop and are handed back as they do.
    Stopping,
    /// Those that did not stop were handed back all the same: what they still do has no effect.
    Abandoned,
}

impl Driver {
    pub(super) fn on_timer(&mut self) {
        let now = Instant::now();
        if now >= self.renew_at {
            self.renew_at = now + self.options.lock_duration / 4;
            self.renew();
            self.give_up_overdue();
        }
        self.watch_runtime(now);
        if now >= self.check_at && self.drain.is_none() {
            self.check_at = now + self.options.stalled_interval;
            self.check_stalled();
        }
        for position in 0..self.queues.len() {
            let served = &mut self.queues[position];
            if now >= served.asked_at + self.options.idle_wait + NEGLECT {
                served.asked_at = now;
                served.is_ready = true;
            }
            if self.queues[position].look_at.is_some_and(|at| now >= at) {
                self.queues[position].look_at = None;
                self.look_or_pass_on(position);
            }
            self.end_old_promises(position, now);
            let served = &mut self.queues[position];
            if served.blocked_until.is_some_and(|at| now >= at) {
                served.blocked_until = None;
            }
        }
        if now >= self.ping_at && self.drain.is_none() {
            self.ping_at = now + self.options.idle_wait;
            self.ping_when_silent();
        }
        self.advance_drain(now);
    }

    /// A worker that is paused and runs nothing has no other contact than this for long.
    fn ping_when_silent(&mut self) {
        if self.status.silent_for() < self.options.idle_wait + NEGLECT {
            return;
        }
        let redis = self.queues[0].queue.redis.clone();
        self.calls.push(Box::pin(async move { Called::Pinged(redis.ping().await.is_ok()) }));
    }

    pub(super) fn renew(&mut self) {
        for position in 0..self.queues.len() {
            let leases = self.queues[position].leases.list();
            if leases.is_empty() {
                continue;
            }
            let (terms, queue) = (Arc::clone(&self.terms), self.queues[position].queue.clone());
            self.calls.push(Box::pin(async move {
                Called::Extended { queue: position, answer: terms.extend(&queue, leases).await, is_look: false }
            }));
        }
    }

    pub(super) fn check_stalled(&mut self) {
        for position in 0..self.queues.len() {
            let (terms, queue) = (Arc::clone(&self.terms), self.queues[position].queue.clone());
            self.calls.push(Box::pin(async move {
                Called::Checked { queue: position, answer: terms.check_stalled(&queue).await }
            }));
        }
    }

    pub(super) fn next_timer(&self) -> Instant {
        let mut next = self.renew_at.min(self.next_probe());
        match &self.drain {
            None => next = next.min(self.check_at).min(self.ping_at),
            Some(drain) => next = next.min(drain.next_stage_at()),
        }
        let neglected = self.queues.iter().map(|served| served.asked_at + self.options.idle_wait + NEGLECT);
        let waits = self.queues.iter().flat_map(Served::waits);
        waits.chain(neglected).fold(next, Instant::min)
    }

    pub(super) fn contact(&mut self, position: usize) {
        self.status.contact();
        self.queues[position].pauses = pauses();
    }

    pub(super) fn begin_drain(&mut self, deadline: Instant) {
        let held: usize = self.queues.iter().map(|served| served.leases.len()).sum();
        tracing::info!(held, "no more claims; letting running jobs finish");
        self.drain = Some(Drain { deadline, stage: Stage::Finishing, report: Drained::default() });
        for position in 0..self.queues.len() {
            if self.queues[position].look_at.take().is_some() {
                self.look_or_pass_on(position);
            }
        }
        self.advance_drain(Instant::now());
    }

    /// Moves the drain on when its time has come.
    pub(super) fn advance_drain(&mut self, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        if now < drain.next_stage_at() {
            return;
        }
        match drain.stage {
            Stage::Finishing => {
                drain.stage = Stage::Stopping;
                self.queues.iter().for_each(|served| served.leases.give_up_all());
            }
            Stage::Stopping => {
                drain.stage = Stage::Abandoned;
                self.queues.iter_mut().for_each(Served::hand_back_all);
            }
            Stage::Abandoned => {}
        }
    }

    /// Whether running jobs have been told to stop: none is started any more.
    pub(super) fn is_stopping(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.stage != Stage::Finishing)
    }

    /// The server may have given this worker's sleep a marker just now, which another must follow.
    pub(super) async fn pass_last_wakes_on(&mut self) {
        while self.waiter.is_asleep() {
            let Ok(wake) = tokio::time::timeout(LAST_WAKE, self.waiter.woken()).await else { break };
            self.on_wake(&wake);
        }
        let _ = tokio::time::timeout(STOP_GRACE, self.calls.by_ref().for_each(|_| std::future::ready(()))).await;
    }

    /// The report, once nothing is held any more or the last moment has passed.
    pub(super) fn drained(&mut self) -> Option<Drained> {
        let drain = self.drain.as_ref()?;
        let now = Instant::now();
        let has_stopped = self.tasks.is_empty() || drain.stage == Stage::Abandoned;
        let is_idle = has_stopped && self.promised == 0 && self.calls.is_empty();
        let has_written = self.queues.iter().all(|served| served.outcomes.is_empty() && served.lost_claims.is_empty());
        let is_over = now >= drain.deadline + STOP_GRACE + LAST_WRITES;
        let is_done = is_idle && has_written;
        if !is_done && !is_over {
            return None;
        }
        let left = self.queues.iter().map(|served| served.leases.len() as u64).sum();
        Some(Drained { left, ..drain.report })
    }
}

impl Drain {
    fn next_stage_at(&self) -> Instant {
        match self.stage {
            Stage::Finishing => self.deadline,
            Stage::Stopping => self.deadline + STOP_GRACE,
            Stage::Abandoned => self.deadline + STOP_GRACE + LAST_WRITES,
        }
    }
}
