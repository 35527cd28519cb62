//! The driver: claims, hands out, renews, settles. All of a worker's state belongs to this one task.
//!
//! Batching is natural: while a call of a queue is under way, finished jobs gather; the next call writes them and claims
//! as many as there are free slots. Nothing waits for a batch to fill, except for a second call beside one that is under
//! way: it leaves when half of the slots have something for it, so that Redis and the jobs are busy at the same time.

mod answers;
mod jobs;
mod served;
mod timers;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::call::{Called, Claim, Settle, Terms, wake_another};
use super::notices::Notices;
use super::options::{MAX_PRESENCES, WorkerOptions};
use super::status::Status;
use super::waiter::{Waiter, Wake, groups};
use super::{Drained, Handler, Pace};
use crate::keys::connection_name;
use crate::queue::Queue;
use crate::redis::{Presence, Redis};
use jobs::Finished;
use served::{MAX_CALLS, MAX_OUTCOMES, Served};
use timers::Drain;
use watchdog::Watchdog;

/// The most jobs one call claims: Redis answers nobody else meanwhile.
const MAX_CLAIM: usize = 500;
/// The smallest share of the slots that is worth a call of its own: for fewer jobs Redis would pay more for the call than
/// is won by not waiting for another.
const MIN_SHARE: usize = 4;

pub(super) struct Driver {
    terms: Arc<Terms>,
    options: WorkerOptions,
    pace: Pace,
    handler: Arc<dyn Handler>,
    /// Where jobs run; never this thread.
    runtime: Runtime,
    status: Arc<Status>,
    queues: Vec<Served>,
    waiter: Waiter,
    notices: Notices,
    watchdog: Watchdog,
    /// Running jobs: every task is here until it has ended.
    tasks: JoinSet<Finished>,
    /// Calls under way.
    calls: FuturesUnordered<BoxFuture<'static, Called>>,
    /// Slots that are taken by no running job and yet not free: promised to claims whose answer is not here yet, or
    /// those of jobs whose scheduler is being advanced.
    promised: usize,
    /// Unique for each start of a process; the first part of every token.
    id: Uuid,
    claims: u64,
    /// The queue that is asked first next time, so that none starves.
    first: usize,
    renew_at: Instant,
    check_at: Instant,
    ping_at: Instant,
    drain: Option<Drain>,
    /// Held open so that BullMQ lists the worker on every queue.
    _presences: Vec<Presence>,
}

impl Driver {
    pub(super) fn new(
        redis: Redis,
        queues: Vec<Queue>,
        options: WorkerOptions,
        handler: Arc<dyn Handler>,
        runtime: Runtime,
        status: Arc<Status>,
    ) -> Self {
        let name = |queue: &Queue| connection_name(redis.prefix(), &queue.name, options.name.as_deref());
        let named: Vec<usize> = groups(&queues).iter().filter_map(|group| group.first().copied()).collect();
        let unnamed = queues.iter().enumerate().filter(|(position, _)| !named.contains(position));
        let presences = unnamed.take(MAX_PRESENCES);
        let presences = presences.map(|(_, queue)| Presence::announce(&redis, name(queue), queue.keys.prefix()));
        let presences = presences.collect();
        let waiter = Waiter::start(&queues, name);
        let id = Uuid::now_v7();
        let notices = Notices::start(&queues, id);
        let now = Instant::now();
        status.contact();
        Self {
            terms: Arc::new(Terms::new(&options)),
            renew_at: now + options.lock_duration / 4,
            check_at: now,
            ping_at: now + options.idle_wait,
            pace: Pace { is_paused: false, slots: options.concurrency },
            options,
            handler,
            runtime,
            status,
            queues: queues.into_iter().map(Served::new).collect(),
            waiter,
            notices,
            watchdog: Watchdog::new(now),
            tasks: JoinSet::new(),
            calls: FuturesUnordered::new(),
            promised: 0,
            id,
            claims: 0,
            first: 0,
            drain: None,
            _presences: presences,
        }
    }

    /// Works until told to stop, then drains.
    pub(super) async fn run(
        mut self,
        mut stopping: watch::Receiver<Option<std::time::Instant>>,
        mut paced: watch::Receiver<Pace>,
    ) -> Drained {
        loop {
            self.send_calls();
            self.ask_waiter();
            if let Some(report) = self.drained() {
                self.pass_last_wakes_on().await;
                return report;
            }
            let timer = self.next_timer();
            tokio::select! {
                biased;
                // What the handle says goes first: after a pause no job's end may claim another.
                change = stopping.changed(), if self.drain.is_none() => {
                    let deadline = change.ok().and_then(|()| *stopping.borrow());
                    self.begin_drain(deadline.map_or_else(Instant::now, Instant::from_std));
                }
                // Once the handle is gone the worker stops, too: `stopping` says so.
                Ok(()) = paced.changed(), if self.drain.is_none() => {
                    self.pace = *paced.borrow_and_update();
                    self.queues.iter_mut().for_each(|served| served.is_ready = true);
                }
                Some(called) = self.calls.next(), if !self.calls.is_empty() => self.on_called(called),
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => self.on_finished(finished),
                wake = self.waiter.woken(), if self.waiter.is_asleep() => self.on_wake(&wake),
                (queue, job) = self.notices.heard() => self.on_notice(queue, job),
                () = tokio::time::sleep_until(timer) => self.on_timer(),
            }
        }
    }

    /// Starts every call that has something to do. What lost claims got is found out before anything else is asked.
    fn send_calls(&mut self) {
        let now = Instant::now();
        let count = self.queues.len();
        for step in 0..count {
            let position = (self.first + step) % count;
            if self.queues[position].is_reclaiming || self.queues[position].is_blocked(now) {
                continue;
            }
            if let Some(claim) = self.queues[position].lost_claims.pop() {
                self.send_reclaim(position, claim);
                continue;
            }
            while self.is_worth_a_call(position) {
                self.send_settle(position);
                self.first = (position + 1) % count;
            }
        }
    }

    /// Nothing waits while no call of the queue is under way. Beside one, another carries a whole share of the slots; and
    /// none goes beside one while a refused call is being searched for what was to blame.
    fn is_worth_a_call(&self, position: usize) -> bool {
        let served = &self.queues[position];
        let (gathered, has_room) = (served.outcomes.len(), self.wants_jobs(position));
        match served.calls {
            0 => gathered > 0 || has_room,
            calls if calls < MAX_CALLS && !served.is_careful() => {
                gathered.max(if has_room { self.free() } else { 0 }) >= self.share()
            }
            _ => false,
        }
    }

    /// As many jobs as one call settles or claims at most, so that those of another can run meanwhile.
    fn share(&self) -> usize {
        let share = self.pace.slots.div_ceil(MAX_CALLS);
        if share < MIN_SHARE { self.pace.slots } else { share.min(MAX_CLAIM) }
    }

    fn wants_jobs(&self, position: usize) -> bool {
        self.drain.is_none() && self.queues[position].is_ready && self.free() > 0
    }

    fn free(&self) -> usize {
        let slots = if self.pace.is_paused { 0 } else { self.pace.slots };
        slots.saturating_sub(self.tasks.len() + self.promised)
    }

    fn send_settle(&mut self, position: usize) {
        let served = &self.queues[position];
        // After a refused call outcomes go by themselves, because the claim may have been what was refused.
        let is_by_itself = served.is_careful() && !served.outcomes.is_empty();
        let share = self.share();
        let count = if self.drain.is_some() || is_by_itself { 0 } else { self.free().min(share) };
        self.claims += 1;
        let token: Arc<str> = format!("{}:{}", self.id, self.claims).into();
        if count > 0 {
            self.promise(position, &token, count);
            // A queue that was not asked because no slot was free stays in line for one.
            self.queues[position].is_ready = false;
            self.queues[position].asked_at = Instant::now();
        }
        let most = if self.drain.is_some() { MAX_OUTCOMES } else { share };
        let served = &mut self.queues[position];
        let request =
            Settle { outcomes: served.take_outcomes(most), claim: Claim { token, count, only_if_settled: false } };
        served.calls += 1;
        let (terms, queue) = (Arc::clone(&self.terms), served.queue.clone());
        self.calls.push(Box::pin(async move {
            let answer = terms.settle(&queue, &request).await;
            Called::Settled { queue: position, request, answer }
        }));
    }

    fn send_reclaim(&mut self, position: usize, claim: Claim) {
        let served = &mut self.queues[position];
        served.is_reclaiming = true;
        let (terms, queue) = (Arc::clone(&self.terms), served.queue.clone());
        self.calls.push(Box::pin(async move {
            let answer = terms.reclaim(&queue, &claim).await;
            Called::Reclaimed { queue: position, claim, answer }
        }));
    }

    /// Sleeps on the markers while a slot is free: a full worker learns of new jobs when it settles, and so does one that
    /// waits for the answers of all its queues. A marker that appears meanwhile stays until it is looked for.
    fn ask_waiter(&mut self) {
        let is_waiting = self.queues.iter().all(Served::is_calling);
        if self.free() > 0 && !is_waiting && self.drain.is_none() {
            self.waiter.ask(self.options.idle_wait);
        }
    }

    fn on_wake(&mut self, wake: &Wake) {
        match *wake {
            Wake::Idle { ref queues } => queues.iter().for_each(|queue| self.queues[*queue].is_ready = true),
            Wake::Marker { queue, due_ms } => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time; a cast saturates")]
                let wait_ms = (due_ms.ceil() as u64).saturating_sub(self.queues[queue].queue.now_ms());
                if wait_ms > 0 && self.drain.is_none() {
                    self.queues[queue].look_after(Duration::from_millis(wait_ms));
                } else {
                    self.look_or_pass_on(queue);
                }
            }
        }
    }

    /// There may be jobs to claim. A worker that cannot, because its slots are taken by now, it is paused or it ends,
    /// owes another the marker that told it.
    fn look_or_pass_on(&mut self, position: usize) {
        self.queues[position].is_ready = true;
        if self.free() > 0 && self.drain.is_none() {
            return;
        }
        let queue = self.queues[position].queue.clone();
        self.calls.push(Box::pin(async move {
            wake_another(&queue).await;
            Called::Woken
        }));
    }
}
