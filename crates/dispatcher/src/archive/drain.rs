//! Empties the streams of finished jobs: takes a bounded batch as a member of the dispatchers' group, stores it, and only
//! then deletes it from Redis. A batch whose dispatcher died is taken over by another.

use std::time::{Duration, Instant};

use operator_core::{JobRecord, Outcome};
use operator_queue::history::{HistoryEntry, HistoryReader};
use operator_queue::{QueueError, Redis, registry};
use uuid::Uuid;

use super::outage::Outage;
use super::shelf::{Shelf, Shelved};

/// How many entries a batch has at most, over all queues. An entry holds what one call of a worker settled.
const MAX_ENTRIES: u64 = 200;

/// How large a batch should be: ample for a transaction, and small beside what the process uses anyway.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;

/// How long a read waits for news. Also how soon the task notices that it is to stop.
const WAIT: Duration = Duration::from_secs(1);

/// How often to look for batches whose dispatcher died.
const TAKE_OVER_INTERVAL: Duration = Duration::from_secs(15);

/// How long leaving the group may take: whoever stays listed in it does no harm.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

const OUTAGE: &str = "the records of finished jobs cannot be read from redis";

pub(super) struct Drain {
    redis: Redis,
    reader: HistoryReader,
    shelf: Shelf,
    interval: Duration,
    /// How many queues are followed: each adds entries of its own to a batch.
    queues: u64,
    /// How many entries the next batch has, by the size of those before.
    entries: u64,
    next_look: Instant,
    next_take_over: Instant,
}

impl Drain {
    pub(super) fn new(redis: &Redis, interval: Duration, shelf: Shelf) -> Self {
        // No two processes may share a name, nor two starts of one.
        let reader = HistoryReader::new(redis, format!("dispatcher-{}", Uuid::now_v7()));
        let now = Instant::now();
        let redis = redis.clone();
        Self { redis, reader, shelf, interval, queues: 0, entries: 10, next_look: now, next_take_over: now }
    }

    pub(super) async fn run(mut self) {
        let mut outage = Outage::default();
        while !self.shelf.stop.is_cancelled() {
            self.shelf.beat.beat();
            match self.turn().await {
                Ok(()) => outage.over("the records of finished jobs are read"),
                Err(error) => outage.wait(OUTAGE, &error, &self.shelf.stop).await,
            }
        }
        match tokio::time::timeout(LEAVE_LIMIT, self.reader.leave()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "did not leave the group of dispatchers"),
            Err(_) => tracing::warn!("did not leave the group of dispatchers: redis does not answer"),
        }
    }

    async fn turn(&mut self) -> Result<(), QueueError> {
        if Instant::now() >= self.next_look {
            let queues = registry::known_queues(&self.redis).await?;
            self.queues = queues.len() as u64;
            self.reader.follow(queues).await?;
            self.next_look = Instant::now() + self.interval;
        }
        let max = (self.entries / self.queues.max(1)).max(1);
        if Instant::now() >= self.next_take_over {
            // Before the call: if it fails because a stream is gone, the read that follows next time makes it again.
            self.next_take_over = Instant::now() + TAKE_OVER_INTERVAL;
            let abandoned = self.reader.take_over(max).await?;
            if !abandoned.is_empty() {
                tracing::info!(entries = abandoned.len(), "took over finished jobs from a dispatcher that went silent");
                self.archive(abandoned).await?;
                self.next_take_over = Instant::now();
            }
        }
        let entries = self.reader.read(max, WAIT.min(self.interval)).await?;
        self.archive(entries).await
    }

    /// Stores what is in `entries` and confirms them.
    async fn archive(&mut self, mut entries: Vec<HistoryEntry>) -> Result<(), QueueError> {
        let records: Vec<JobRecord> = entries.iter_mut().flat_map(|entry| std::mem::take(&mut entry.records)).collect();
        self.entries = next_entries(self.entries, entries.len() as u64, records.iter().map(bytes).sum());
        match self.shelf.store(&records).await {
            Shelved::All => self.reader.confirm(&entries).await,
            Shelved::Stopped => Ok(()),
        }
    }
}

/// How many entries to take after a batch of `taken` with `bytes`: as many as make a batch of the intended size, but
/// growing step by step, because larger ones may follow.
fn next_entries(before: u64, taken: u64, bytes: u64) -> u64 {
    match bytes.checked_div(taken) {
        Some(each) => (BATCH_BYTES / each.max(1)).clamp(1, MAX_ENTRIES).min(before * 2),
        None => before,
    }
}

/// What makes a record large.
fn bytes(record: &JobRecord) -> u64 {
    let outcome = match &record.outcome {
        Outcome::Completed { result } => result.as_str().len(),
        Outcome::Failed { error, stack } | Outcome::Cancelled { error, stack } => {
            error.len() + stack.iter().map(String::len).sum::<usize>()
        }
    };
    (record.data.as_str().len() + record.opts.as_str().len() + outcome) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_large_records_have_few_entries() {
        assert_eq!(next_entries(10, 0, 0), 10);
        assert_eq!(next_entries(10, 10, 10_000), 20);
        assert_eq!(next_entries(150, 150, 150_000), MAX_ENTRIES);
        assert_eq!(next_entries(200, 200, 200 * BATCH_BYTES), 1);
        assert_eq!(next_entries(1, 1, 4 * 1024 * 1024), 2);
        assert_eq!(next_entries(2, 2, 8 * 1024 * 1024), 4);
    }
}
