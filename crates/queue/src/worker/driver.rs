//! The driver: claims, hands out, renews, settles. All of a worker's state belongs to this one task.
//!
//! Batching is natural: while one call of a queue is under way, finished jobs gather; the next call writes them all and
//! claims as many as there are free slots. Nothing waits for a batch to fill.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use operator_core::{Failure, Job, Json};
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::call::{Called, Claim, Claimed, Settle, Settled, Terms, wake_another};
use super::lease::{Lease, Leases};
use super::metrics::QueueMetrics;
use super::options::{MAX_PRESENCES, WorkerOptions};
use super::status::Status;
use super::waiter::{Waiter, Wake, pauses};
use super::{ClaimedJob, Drained, Handler};
use crate::clock::now_ms;
use crate::error::{QueueError, Refusal};
use crate::keys::connection_name;
use crate::queue::Queue;
use crate::redis::{BlockingConnection, Presence, Redis, RedisError};
use crate::wire::outcome::{Outcome, Verdict};

/// The most outcomes one call writes: bounds the script and the memory of its arguments.
const MAX_OUTCOMES: usize = 500;
/// The most jobs one call claims: the script passes several values per job to one command.
const MAX_CLAIM: usize = 500;
/// How often an outcome is sent by itself before it is given up: its job is then recovered as if its worker had died.
const MAX_TRIES: u32 = 5;
/// How long jobs that were told to stop may take to notice before they are handed back regardless.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long outcomes are tried to be written after the drain, when Redis is away.
const LAST_WRITES: Duration = Duration::from_secs(5);

pub(super) struct Driver {
    terms: Arc<Terms>,
    options: WorkerOptions,
    handler: Arc<dyn Handler>,
    /// Where jobs run; never this thread.
    runtime: Runtime,
    status: Arc<Status>,
    queues: Vec<Served>,
    waiter: Waiter,
    is_waiting: bool,
    /// Running jobs: every task is here until it has ended.
    tasks: JoinSet<Finished>,
    /// Calls under way.
    calls: FuturesUnordered<BoxFuture<'static, Called>>,
    /// Slots promised to claims whose answer is not here yet.
    promised: usize,
    /// Unique for each start of a process; the first part of every token.
    id: Uuid,
    claims: u64,
    /// The queue that is asked first next time, so that none starves.
    first: usize,
    renew_at: Instant,
    check_at: Instant,
    drain: Option<Drain>,
    /// Held open so that BullMQ lists the worker on every queue.
    _presences: Vec<Presence>,
}

/// One queue that the worker serves.
struct Served {
    queue: Queue,
    leases: Leases,
    metrics: QueueMetrics,
    /// What has finished and is not written.
    outcomes: Vec<Outcome>,
    /// How many outcomes the next call may carry: halved when a call is refused, to find the one that is to blame.
    max_outcomes: usize,
    /// How often in a row a single outcome was refused.
    tries: u32,
    /// There may be jobs to claim.
    is_ready: bool,
    is_calling: bool,
    /// Look again then: a delayed job is due, a rate limit ends, or an error has been waited out.
    look_at: Option<Instant>,
    /// Not before: Redis did not answer, or a limit is used up.
    blocked_until: Option<Instant>,
    /// Claims whose answer was lost; their slots stay promised until we know what they got.
    lost_claims: Vec<Claim>,
    pauses: ExponentialBackoff,
}

/// A job's task has ended.
struct Finished {
    queue: usize,
    job: Arc<Job>,
    token: Arc<str>,
    /// `None` when it was stopped.
    result: Option<Result<Json, Failure>>,
}

struct Drain {
    deadline: Instant,
    has_cancelled: bool,
    report: Drained,
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
        let presences = queues.iter().skip(1).take(MAX_PRESENCES);
        let presences = presences.filter_map(|queue| Presence::announce(redis.config(), name(queue))).collect();
        let connection_name = queues.first().map(name).unwrap_or_default();
        let markers = queues.iter().map(|queue| queue.keys.key("marker")).collect();
        let waiter = Waiter::start(BlockingConnection::new(redis.config(), connection_name), markers);
        let now = Instant::now();
        status.contact();
        Self {
            terms: Arc::new(Terms::new(&options)),
            renew_at: now + options.lock_duration / 4,
            check_at: now,
            options,
            handler,
            runtime,
            status,
            queues: queues.into_iter().map(Served::new).collect(),
            waiter,
            is_waiting: false,
            tasks: JoinSet::new(),
            calls: FuturesUnordered::new(),
            promised: 0,
            id: Uuid::now_v7(),
            claims: 0,
            first: 0,
            drain: None,
            _presences: presences,
        }
    }

    /// Works until told to stop, then drains.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<Option<std::time::Instant>>) -> Drained {
        loop {
            self.send_calls();
            self.ask_waiter();
            if let Some(report) = self.drained() {
                return report;
            }
            let timer = self.next_timer();
            tokio::select! {
                biased;
                Some(called) = self.calls.next(), if !self.calls.is_empty() => self.on_called(called),
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => self.on_finished(finished),
                wake = self.waiter.woken(), if self.is_waiting => self.on_wake(&wake),
                change = stopping.changed(), if self.drain.is_none() => {
                    let deadline = change.ok().and_then(|()| *stopping.borrow());
                    self.begin_drain(deadline.map_or_else(Instant::now, Instant::from_std));
                }
                () = tokio::time::sleep_until(timer) => self.on_timer(),
            }
        }
    }

    /// Starts every call that has something to do. One settle call per queue is under way at a time.
    fn send_calls(&mut self) {
        let now = Instant::now();
        let count = self.queues.len();
        for step in 0..count {
            let position = (self.first + step) % count;
            if self.queues[position].is_calling || self.queues[position].is_blocked(now) {
                continue;
            }
            if let Some(claim) = self.queues[position].lost_claims.pop() {
                self.send_reclaim(position, claim);
            } else if !self.queues[position].outcomes.is_empty() || self.wants_jobs(position) {
                self.send_settle(position);
                self.first = (position + 1) % count;
            }
        }
    }

    fn wants_jobs(&self, position: usize) -> bool {
        self.drain.is_none() && self.queues[position].is_ready && self.free() > 0
    }

    fn free(&self) -> usize {
        self.options.concurrency.saturating_sub(self.tasks.len() + self.promised)
    }

    fn send_settle(&mut self, position: usize) {
        let served = &self.queues[position];
        // After a refused call outcomes go by themselves, because the claim may have been what was refused.
        let is_careful = served.max_outcomes < MAX_OUTCOMES && !served.outcomes.is_empty();
        let count = if self.drain.is_some() || is_careful { 0 } else { self.free().min(MAX_CLAIM) };
        self.promised += count;
        self.claims += 1;
        let token = format!("{}:{}", self.id, self.claims).into();
        let served = &mut self.queues[position];
        let taken = served.outcomes.len().min(served.max_outcomes);
        let request = Settle { outcomes: served.outcomes.drain(..taken).collect(), claim: Claim { token, count } };
        served.is_ready = false;
        served.is_calling = true;
        let (terms, queue) = (Arc::clone(&self.terms), served.queue.clone());
        self.calls.push(Box::pin(async move {
            let answer = terms.settle(&queue, &request).await;
            Called::Settled { queue: position, request, answer }
        }));
    }

    fn send_reclaim(&mut self, position: usize, claim: Claim) {
        let served = &mut self.queues[position];
        served.is_calling = true;
        let (terms, queue) = (Arc::clone(&self.terms), served.queue.clone());
        self.calls.push(Box::pin(async move {
            let answer = terms.reclaim(&queue, &claim).await;
            Called::Reclaimed { queue: position, claim, answer }
        }));
    }

    /// Sleeps on the markers while a slot is free: a full worker learns of new jobs when it settles.
    fn ask_waiter(&mut self) {
        if !self.is_waiting && self.free() > 0 && self.drain.is_none() {
            self.is_waiting = true;
            self.waiter.ask(self.options.idle_wait);
        }
    }

    fn on_wake(&mut self, wake: &Wake) {
        self.is_waiting = false;
        match *wake {
            Wake::Idle => self.queues.iter_mut().for_each(|served| served.is_ready = true),
            Wake::Marker { queue, due_ms } => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time; a cast saturates")]
                let wait_ms = (due_ms.ceil() as u64).saturating_sub(now_ms());
                if wait_ms > 0 {
                    self.queues[queue].look_after(Duration::from_millis(wait_ms));
                } else if self.free() > 0 {
                    self.queues[queue].is_ready = true;
                } else {
                    // The slot that was free is taken by now: the marker belongs to a worker that has one.
                    self.queues[queue].is_ready = true;
                    let queue = self.queues[queue].queue.clone();
                    self.calls.push(Box::pin(async move {
                        wake_another(&queue).await;
                        Called::Woken
                    }));
                }
            }
        }
    }

    fn on_called(&mut self, called: Called) {
        match called {
            Called::Settled { queue, request, answer } => {
                self.queues[queue].is_calling = false;
                match answer {
                    Ok(settled) => self.on_settled(queue, request, settled),
                    Err(error) => self.on_settle_failed(queue, request, &error),
                }
            }
            Called::Reclaimed { queue, claim, answer } => {
                self.queues[queue].is_calling = false;
                match answer {
                    Ok(jobs) => {
                        self.contact(queue);
                        self.promised -= claim.count;
                        self.start_jobs(queue, &claim.token, jobs);
                    }
                    Err(error) => {
                        self.queues[queue].lost_claims.push(claim);
                        self.queues[queue].pause(&error);
                    }
                }
            }
            Called::Extended { queue, answer } => match answer {
                Ok(lost) => {
                    self.status.contact();
                    lost.iter().for_each(|(id, token)| self.lose(queue, id, token));
                }
                Err(error) => tracing::warn!(queue = %self.queues[queue].queue.name, %error, "cannot renew locks"),
            },
            Called::Checked { queue, answer } => match answer {
                Ok(0) => self.status.contact(),
                Ok(count) => {
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
            Called::Woken => {}
        }
    }

    fn on_settled(&mut self, position: usize, request: Settle, settled: Settled) {
        self.contact(position);
        self.promised -= request.claim.count;
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
                served.look_after(Duration::from_millis(due_ms.saturating_sub(now_ms()).max(1)));
            }
            if let Some(limited_for) = settled.limited_for {
                served.look_after(limited_for);
            }
        }
        self.start_jobs(position, &request.claim.token, settled.claimed);
    }

    /// An outcome was written, or refused because the job is someone else's by now.
    fn on_outcome(&mut self, position: usize, outcome: &Outcome, refusal: Option<Refusal>) {
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
            // A parent that cannot complete: its children are in the way, and waiting does not help.
            Some(refusal) => {
                let failure = Failure::unrecoverable(format!("job {id} {refusal}"));
                let verdict = Verdict::of_failure(&outcome.job, failure, 0.0);
                served.outcomes.push(Outcome { verdict, ..outcome.clone() });
            }
        }
    }

    /// Nothing is known of the call: keep the outcomes for the next, and find out what the claim got.
    fn on_settle_failed(&mut self, position: usize, mut request: Settle, error: &RedisError) {
        let is_ambiguous = error.is_ambiguous();
        if !is_ambiguous && !request.outcomes.is_empty() {
            self.queues[position].suspect(&mut request.outcomes);
        }
        for outcome in &mut request.outcomes {
            outcome.is_repeated |= is_ambiguous;
        }
        let served = &mut self.queues[position];
        request.outcomes.append(&mut served.outcomes);
        served.outcomes = request.outcomes;
        served.is_ready = true;
        if is_ambiguous && request.claim.count > 0 {
            served.lost_claims.push(request.claim);
        } else {
            self.promised -= request.claim.count;
        }
        self.queues[position].pause(error);
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
        let served = &mut self.queues[position];
        let cancelled = CancellationToken::new();
        served.leases.hold(job.id.as_str(), Lease { token: Arc::clone(token), cancelled: cancelled.clone() });
        served.metrics.started(&job, now_ms());
        if let Some(reason) = &job.deferred_failure {
            let verdict = Verdict::of_failure(&job, Failure::unrecoverable(reason.as_str()), 0.0);
            served.outcomes.push(Outcome { job, token: Arc::clone(token), verdict, is_repeated: false });
            return;
        }
        let queue = served.queue.clone();
        let claimed = ClaimedJob { job: Arc::clone(&job), queue, cancelled: cancelled.clone() };
        let (handler, token) = (Arc::clone(&self.handler), Arc::clone(token));
        let task = async move {
            let run = AssertUnwindSafe(async move { handler.run(claimed).await }).catch_unwind();
            let result = tokio::select! {
                biased;
                result = run => Some(result.unwrap_or_else(|panic| Err(panicked(&*panic)))),
                () = cancelled.cancelled() => None,
            };
            Finished { queue: position, job, token, result }
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// A job whose hash is not what the wire says fails for good: it would fail every worker.
    fn fail_unreadable(&mut self, position: usize, id: &str, token: &Arc<str>, error: &QueueError) {
        let served = &mut self.queues[position];
        tracing::error!(queue = %served.queue.name, id, %error, "failing a job that is not readable");
        let job = Arc::new(unreadable(&served.queue, id));
        let cancelled = CancellationToken::new();
        served.leases.hold(id, Lease { token: Arc::clone(token), cancelled });
        let verdict = Verdict::Failed { reason: error.to_string(), stacks: Vec::new() };
        served.outcomes.push(Outcome { job, token: Arc::clone(token), verdict, is_repeated: false });
    }

    fn on_finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        self.take_finished(finished);
        // Whatever else has finished goes into the same call.
        while let Some(finished) = self.tasks.try_join_next() {
            self.take_finished(finished);
        }
        self.status.set_busy(self.tasks.len());
    }

    fn take_finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        let Ok(Finished { queue, job, token, result }) = finished else {
            // Panics are caught inside: only the end of the program's runtime aborts a job's task.
            return tracing::error!("a job's task was aborted with its runtime");
        };
        let served = &mut self.queues[queue];
        if !served.leases.holds(job.id.as_str(), &token) {
            return tracing::debug!(queue = %served.queue.name, id = %job.id, "dropped the result of a lost job");
        }
        let verdict = match result {
            Some(Ok(result)) => Verdict::Completed(result),
            Some(Err(failure)) => Verdict::of_failure(&job, failure, rand::random()),
            None => Verdict::HandedBack,
        };
        served.outcomes.push(Outcome { job, token, verdict, is_repeated: false });
    }

    /// Another worker has the job, or will have: stop it and forget it.
    fn lose(&mut self, position: usize, id: &str, token: &str) {
        let served = &mut self.queues[position];
        if let Some(lease) = served.leases.release(id, token) {
            lease.cancelled.cancel();
            served.metrics.leases_lost.increment(1);
            self.status.add_lost();
            tracing::warn!(queue = %served.queue.name, id, "lost a job: its lock expired or another worker took it");
        }
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if now >= self.renew_at {
            self.renew_at = now + self.options.lock_duration / 4;
            self.renew();
        }
        if now >= self.check_at && self.drain.is_none() {
            self.check_at = now + self.options.stalled_interval;
            self.check_stalled();
        }
        for served in &mut self.queues {
            if served.look_at.is_some_and(|at| now >= at) {
                served.look_at = None;
                served.is_ready = true;
            }
            if served.blocked_until.is_some_and(|at| now >= at) {
                served.blocked_until = None;
            }
        }
        self.cancel_overdue(now);
    }

    fn renew(&mut self) {
        for position in 0..self.queues.len() {
            let leases = self.queues[position].leases.list();
            if leases.is_empty() {
                continue;
            }
            let (terms, queue) = (Arc::clone(&self.terms), self.queues[position].queue.clone());
            self.calls.push(Box::pin(async move {
                Called::Extended { queue: position, answer: terms.extend(&queue, leases).await }
            }));
        }
    }

    fn check_stalled(&mut self) {
        for position in 0..self.queues.len() {
            let (terms, queue) = (Arc::clone(&self.terms), self.queues[position].queue.clone());
            self.calls.push(Box::pin(async move {
                Called::Checked { queue: position, answer: terms.check_stalled(&queue).await }
            }));
        }
    }

    fn next_timer(&self) -> Instant {
        let mut next = self.renew_at;
        match &self.drain {
            None => next = next.min(self.check_at),
            Some(drain) if !drain.has_cancelled => next = next.min(drain.deadline),
            Some(drain) => next = next.min(drain.deadline + STOP_GRACE),
        }
        let waits = self.queues.iter().flat_map(|served| [served.look_at, served.blocked_until]).flatten();
        waits.fold(next, Instant::min)
    }

    fn contact(&mut self, position: usize) {
        self.status.contact();
        self.queues[position].pauses = pauses();
    }

    fn begin_drain(&mut self, deadline: Instant) {
        let held: usize = self.queues.iter().map(|served| served.leases.len()).sum();
        tracing::info!(held, "no more claims; letting running jobs finish");
        self.drain = Some(Drain { deadline, has_cancelled: false, report: Drained::default() });
        self.cancel_overdue(Instant::now());
    }

    /// At the deadline of the drain, running jobs are stopped so that they can be handed back.
    fn cancel_overdue(&mut self, now: Instant) {
        if let Some(drain) = &mut self.drain
            && !drain.has_cancelled
            && now >= drain.deadline
        {
            drain.has_cancelled = true;
            self.queues.iter().for_each(|served| served.leases.cancel_all());
        }
    }

    /// The report, once nothing is held any more or the last moment has passed.
    fn drained(&mut self) -> Option<Drained> {
        let drain = self.drain.as_ref()?;
        let now = Instant::now();
        let is_idle = self.tasks.is_empty() && self.promised == 0 && self.calls.is_empty();
        let has_written = self.queues.iter().all(|served| served.outcomes.is_empty());
        let is_over = drain.has_cancelled && now >= drain.deadline + STOP_GRACE + LAST_WRITES;
        if !(is_idle && has_written) && !is_over {
            return None;
        }
        let left = self.queues.iter().map(|served| served.leases.len() as u64).sum();
        Some(Drained { left, ..drain.report })
    }
}

impl Served {
    fn new(queue: Queue) -> Self {
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

    fn is_blocked(&self, now: Instant) -> bool {
        self.blocked_until.is_some_and(|until| now < until)
    }

    fn look_after(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.look_at = Some(self.look_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// A call with these outcomes was refused: try half of them, then those behind them.
    fn suspect(&mut self, outcomes: &mut Vec<Outcome>) {
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

    fn pause(&mut self, error: &RedisError) {
        let pause = self.pauses.next().unwrap_or(Duration::from_secs(2));
        tracing::warn!(queue = %self.queue.name, %error, ?pause, "cannot settle or claim; trying again");
        self.blocked_until = Some(Instant::now() + pause);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::retryable(format!("the job panicked: {}", text.unwrap_or("without a message")))
}

/// What can be said of a job whose hash cannot be read.
fn unreadable(queue: &Queue, id: &str) -> Job {
    use operator_core::{JobId, JobOptions};
    Job {
        queue: queue.name.clone(),
        id: JobId::from_wire(id),
        name: String::new(),
        data: Json::null(),
        opts: JobOptions::default(),
        wire_opts: Json::null(),
        timestamp_ms: 0,
        delay_ms: 0,
        priority: 0,
        attempts_made: 0,
        attempts_started: 0,
        stalled: 0,
        processed_ms: None,
        finished_ms: None,
        processed_by: None,
        progress: None,
        return_value: None,
        failed_reason: None,
        stacktrace: Vec::new(),
        deferred_failure: None,
        parent_key: None,
        scheduler_id: None,
        deduplication_id: None,
    }
}
