//! Compares the finished jobs that Redis keeps with the history, and stores what is missing: jobs that another program's
//! workers finished, and any whose entry was lost.
//!
//! For each set of a queue the database keeps a mark: all that finished before has a record. A near look begins at the
//! mark, and only when the set's newest member has changed. A wide look, once a minute, begins a minute before it, for
//! workers whose clocks are late. What was compared before the mark is not looked at again.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use operator_core::{JobState, QueueName};
use operator_queue::{Queue, QueueError, Range, Redis, now_ms, registry};
use operator_store::{Store, StoreError};

use super::expiry::Expiry;
use super::outage::Outage;
use super::shelf::{Shelf, Shelved};

/// Younger jobs are left to the drain, which is usually faster and then spares the comparison.
const SETTLED_MS: u64 = 3_000;

/// By how much a worker's clock may be late.
const OVERLAP_MS: u64 = 60_000;

/// How often a wide look is taken.
const WIDE_INTERVAL: Duration = Duration::from_secs(60);

/// A search of all keys for queues that nobody registered may take one part in so many of the time: a small server is
/// searched each turn, a large one seldom.
const SEARCH_SHARE: u32 = 50;

/// How many jobs are compared at a time.
const PAGE: usize = 1000;

/// How many missing jobs are read and stored at a time: each may be as large as data and result may be.
const FETCHED: usize = 100;

/// The sets of finished jobs.
const SETS: [JobState; 2] = [JobState::Completed, JobState::Failed];

pub(super) struct Sweep {
    redis: Redis,
    store: Store,
    shelf: Shelf,
    interval: Duration,
    /// The newest member of each set when all of it had been compared.
    compared: HashMap<(QueueName, JobState), String>,
    next_wide: Instant,
    next_search: Instant,
    expiry: Expiry,
}

impl Sweep {
    pub(super) fn new(redis: &Redis, store: &Store, interval: Duration, shelf: Shelf) -> Self {
        let (redis, store) = (redis.clone(), store.clone());
        let now = Instant::now();
        Self {
            redis,
            store,
            shelf,
            interval,
            compared: HashMap::new(),
            next_wide: now,
            next_search: now,
            expiry: Expiry::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut outage = Outage::default();
        let stop = self.shelf.stop.clone();
        while !stop.is_cancelled() {
            self.shelf.beat.beat();
            match self.turn().await {
                Ok(()) => outage.over("finished jobs are compared with the history"),
                Err(error) => outage.wait("finished jobs cannot be compared with the history", &error, &stop).await,
            }
            self.rest().await;
        }
    }

    /// Waits for the next turn, with signs of life: the interval may be longer than a silence is allowed to be.
    async fn rest(&self) {
        const NAP: Duration = Duration::from_secs(30);
        let until = Instant::now() + self.interval;
        while Instant::now() < until && !self.shelf.stop.is_cancelled() {
            self.shelf.beat.beat();
            let nap = NAP.min(until - Instant::now());
            let _ = tokio::time::timeout(nap, self.shelf.stop.cancelled()).await;
        }
    }

    async fn turn(&mut self) -> Result<(), Failed> {
        let is_wide = Instant::now() >= self.next_wide;
        let queues = self.queues().await?;
        self.compared.retain(|(queue, _), _| queues.contains(queue));
        for name in queues {
            let queue = Queue::new(&self.redis, name);
            for set in SETS {
                self.shelf.beat.beat();
                if self.shelf.stop.is_cancelled() {
                    return Ok(());
                }
                self.sweep(&queue, set, is_wide).await?;
            }
            self.expiry.look(&queue).await?;
        }
        if is_wide {
            self.next_wide = Instant::now() + WIDE_INTERVAL;
        }
        Ok(())
    }

    async fn queues(&mut self) -> Result<BTreeSet<QueueName>, Failed> {
        let started = Instant::now();
        if started < self.next_search {
            return Ok(registry::known_queues(&self.redis).await?);
        }
        let (beat, stop) = (self.shelf.beat.clone(), self.shelf.stop.clone());
        let go_on = || {
            beat.beat();
            !stop.is_cancelled()
        };
        let queues = registry::discover_queues(&self.redis, go_on).await?;
        self.next_search = Instant::now() + started.elapsed() * SEARCH_SHARE;
        Ok(queues)
    }

    async fn sweep(&mut self, queue: &Queue, set: JobState, is_wide: bool) -> Result<(), Failed> {
        let newest = queue.ids(set, Range { first: 0, last: 0, ascending: false }).await?.pop();
        let key = (queue.name().clone(), set);
        let Some(newest) = newest else { return Ok(()) };
        if !is_wide && self.compared.get(&key) == Some(&newest) {
            return Ok(());
        }
        if self.compare(queue, set, if is_wide { OVERLAP_MS } else { 0 }).await? {
            self.compared.insert(key, newest);
        } else {
            self.compared.remove(&key);
        }
        Ok(())
    }

    /// Compares the set from its mark less `overlap_ms` on; tells whether nothing was left for later.
    async fn compare(&mut self, queue: &Queue, set: JobState, overlap_ms: u64) -> Result<bool, Failed> {
        let (name, word) = (queue.name().as_str(), set.as_str());
        let until = now_ms().saturating_sub(SETTLED_MS);
        let mut mark = self.store.sweep_mark(name, word).await?;
        let mut page = Page { since_ms: mark.saturating_sub(overlap_ms), size: PAGE };
        loop {
            self.shelf.beat.beat();
            let finished = queue.finished_since(set, page.since_ms, page.size as u64).await?;
            let settled = finished.partition_point(|(_, finished_ms)| *finished_ms <= until);
            if self.store_missing(queue, &finished[..settled]).await? == Shelved::Stopped {
                return Ok(false);
            }
            if let Some((_, finished_ms)) = finished[..settled].last()
                && *finished_ms > mark
            {
                self.store.set_sweep_mark(name, word, *finished_ms).await?;
                mark = *finished_ms;
            }
            if finished.len() < page.size || settled < finished.len() {
                return Ok(settled == finished.len());
            }
            page.turn(&finished);
        }
    }

    async fn store_missing(&mut self, queue: &Queue, finished: &[(String, u64)]) -> Result<Shelved, Failed> {
        let missing = self.store.missing(queue.name().as_str(), finished).await?;
        let ids: Vec<String> = missing.into_iter().map(|(id, _)| id).collect();
        for ids in ids.chunks(FETCHED) {
            let records = queue.finished_records(ids).await?;
            if self.shelf.store(&records).await == Shelved::Stopped {
                return Ok(Shelved::Stopped);
            }
        }
        Ok(Shelved::All)
    }
}

/// The page of a set to be read next.
struct Page {
    since_ms: u64,
    size: usize,
}

impl Page {
    /// Goes on at the time of the last job, whose millisecond may have more. A page within one millisecond would come
    /// again as it is, so the next one is larger.
    fn turn(&mut self, finished: &[(String, u64)]) {
        match (finished.first(), finished.last()) {
            (Some((_, first)), Some((_, last))) if first < last => *self = Self { since_ms: *last, size: PAGE },
            _ => self.size *= 2,
        }
    }
}

/// Why a turn was not finished. Redis or the database is away; the next turn goes on at the mark.
#[derive(Debug)]
enum Failed {
    Queue(QueueError),
    Store(StoreError),
}

impl From<QueueError> for Failed {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn pages_of_one_millisecond_grow_until_they_reach_the_next() {
        let at = |ms: u64| ("id".to_owned(), ms);
        let mut page = Page { since_ms: 5, size: 1000 };
        page.turn(&[at(5), at(5)]);
        assert_eq!((page.since_ms, page.size), (5, 2000));
        page.turn(&[at(5), at(6)]);
        assert_eq!((page.since_ms, page.size), (6, 1000));
    }
}
