//! One subscription per queue for all who wait for its jobs: a task that knows who waits for which, and ends when nobody
//! has waited for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use operator_core::Json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::subscriber::subscribe;
use super::wait::WaitError;
use super::{Delivery, Event, EventEntry, EventId, Events, EventsOptions};
use crate::queue::Queue;
use crate::redis::RedisError;

/// How many queues may be waited for over one connection at a time: each costs a connection of its own.
const MAX_WATCHES: usize = 64;

/// How many may wait for jobs of one queue at a time.
pub(super) const MAX_WAITERS: usize = 10_000;

/// How often those who gave up are forgotten. A subscription that nobody needs by then ends.
const SWEEP: Duration = Duration::from_secs(10);

/// The watches of a connection, by key prefix.
#[derive(Default)]
pub(crate) struct Watches(Mutex<HashMap<String, mpsc::Sender<Waiter>>>);

/// Someone who waits for a job.
pub(super) struct Waiter {
    pub(super) job_id: String,
    /// Told once the subscription is there and the waiter is known: what happens from then on is seen.
    pub(super) ready: oneshot::Sender<Result<(), NotReady>>,
    pub(super) seen: oneshot::Sender<Seen>,
}

/// Why a waiter was not taken.
#[derive(Debug)]
pub(super) enum NotReady {
    Redis(RedisError),
    TooMany,
}

/// What became known of a job.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// An event that ends it.
    Ended { at: EventId, how: Ending },
    /// Something happened that may have ended it.
    Unclear,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Completed(Json),
    Failed(String),
    Removed,
}

impl Watches {
    /// The way to the watch of `queue`, which is started if there is none.
    pub(super) fn of(&self, queue: &Queue) -> Result<mpsc::Sender<Waiter>, WaitError> {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|_, watch| !watch.is_closed());
        if let Some(watch) = watches.get(queue.keys.prefix()) {
            return Ok(watch.clone());
        }
        if watches.len() >= MAX_WATCHES {
            return Err(WaitError::TooMany { what: "queues", limit: MAX_WATCHES });
        }
        let (sender, waiters) = mpsc::channel(MAX_WAITERS);
        tokio::spawn(run(queue.clone(), waiters));
        watches.insert(queue.keys.prefix().to_owned(), sender.clone());
        Ok(sender)
    }
}

/// The task behind a watch.
struct Watch {
    events: Events,
    waiters: mpsc::Receiver<Waiter>,
    /// Those who wait, by job.
    waiting: HashMap<String, Vec<oneshot::Sender<Seen>>>,
    count: usize,
    sweep: Interval,
}

async fn run(queue: Queue, mut waiters: mpsc::Receiver<Waiter>) {
    match subscribe(&queue, EventsOptions::default()).await {
        Ok(events) => {
            let mut sweep = interval(SWEEP);
            sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
            sweep.reset();
            Watch { events, waiters, waiting: HashMap::new(), count: 0, sweep }.watch().await;
        }
        Err(error) => {
            waiters.close();
            while let Some(waiter) = waiters.recv().await {
                let _ = waiter.ready.send(Err(NotReady::Redis(error.clone())));
            }
        }
    }
}

impl Watch {
    async fn watch(mut self) {
        loop {
            tokio::select! {
                waiter = self.waiters.recv() => match waiter {
                    Some(waiter) => self.admit(waiter),
                    None => return self.events.stop().await,
                },
                delivery = self.events.next() => match delivery {
                    Some(Delivery::Event(entry)) => self.on_event(entry),
                    Some(Delivery::Gap(_)) => self.tell_all(),
                    None => return,
                },
                _ = self.sweep.tick() => {
                    self.sweep_out();
                    if self.count == 0 {
                        // Whoever asks now is not answered and asks again, of the next watch.
                        return self.events.stop().await;
                    }
                }
            }
        }
    }

    fn admit(&mut self, waiter: Waiter) {
        if self.count >= MAX_WAITERS {
            self.sweep_out();
        }
        if self.count >= MAX_WAITERS {
            let _ = waiter.ready.send(Err(NotReady::TooMany));
            return;
        }
        self.waiting.entry(waiter.job_id).or_default().push(waiter.seen);
        self.count += 1;
        let _ = waiter.ready.send(Ok(()));
    }

    fn on_event(&mut self, entry: EventEntry) {
        let Some(job_id) = entry.event.job_id().map(str::to_owned) else {
            if matches!(entry.event, Event::Cleaned { .. }) {
                self.tell_all();
            }
            return;
        };
        if !self.waiting.contains_key(&job_id) {
            return;
        }
        let seen = match (Ending::of(entry.event), entry.id) {
            (Ok(how), at) => Seen::Ended { at, how },
            (Err(Event::Other { name, .. }), _) if ["completed", "failed"].contains(&name.as_str()) => Seen::Unclear,
            (Err(_), _) => return,
        };
        for waiter in self.waiting.remove(&job_id).unwrap_or_default() {
            self.count -= 1;
            let _ = waiter.send(seen.clone());
        }
    }

    fn tell_all(&mut self) {
        self.count = 0;
        for waiter in self.waiting.drain().flat_map(|(_, waiters)| waiters) {
            let _ = waiter.send(Seen::Unclear);
        }
    }

    fn sweep_out(&mut self) {
        self.waiting.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
        self.count = self.waiting.values().map(Vec::len).sum();
    }
}

impl Ending {
    /// What an event says of the end of its job; the event itself if it says nothing.
    pub(super) fn of(event: Event) -> Result<Self, Event> {
        match event {
            Event::Completed { return_value, .. } => Ok(Self::Completed(return_value)),
            Event::Failed { reason, .. } => Ok(Self::Failed(reason)),
            Event::Removed { .. } => Ok(Self::Removed),
            other => Err(other),
        }
    }
}
