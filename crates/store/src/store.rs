//! The store as the other crates see it: every question they may ask, each answered or refused in bounded time.

use std::collections::BTreeSet;

use operator_core::{JobRecord, Json, Outcome};

use crate::database::Database;
use crate::{Cursor, Page, RecordCount, RecordFilter, StoreConfig, StoreError, jobs, sweep_marks};

/// The history of finished jobs. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Connects, and brings the schema up to date. Any number of processes may do so at once: one applies what is
    /// missing, the others wait for it.
    ///
    /// # Errors
    /// Every [`StoreError`]; with [`StoreError::may_retry`] the database may only be away for now.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        Database::open(config).await.map(|database| Self { database })
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.bounded("reach the database", self.database.ping()).await
    }

    /// Stores records and returns how many were new. A record is named by queue, id and the time it finished, and is
    /// stored once however often and by however many it is given; the first one stays. All are stored or none.
    ///
    /// # Errors
    /// When they are not stored, or nobody knows: give them again then.
    pub async fn insert_records(&self, records: &[JobRecord]) -> Result<u64, StoreError> {
        if records.is_empty() {
            return Ok(0);
        }
        self.database.bounded("store records", jobs::insert(&self.database.pools, records)).await
    }

    /// Tells whether a record that surely is acceptable is accepted: one is made up, stored, and taken back in the same
    /// transaction.
    ///
    /// # Errors
    /// When no record can be stored, whatever is in it.
    pub async fn rehearse_insert(&self) -> Result<(), StoreError> {
        let record = made_up();
        self.database.bounded("try to store a record", jobs::rehearse(&self.database.pools, &[record])).await.map(drop)
    }

    /// The newest record of the job `id`, in whichever queue.
    ///
    /// # Errors
    /// When the database cannot be asked or the record is damaged.
    pub async fn record(&self, id: &str) -> Result<Option<JobRecord>, StoreError> {
        self.database.bounded("read a record", jobs::newest(&self.database.pools, id)).await
    }

    /// The newest record of the job `id` in `queue`.
    ///
    /// # Errors
    /// When the database cannot be asked or the record is damaged.
    pub async fn record_in(&self, queue: &str, id: &str) -> Result<Option<JobRecord>, StoreError> {
        self.database.bounded("read a record", jobs::newest_in(&self.database.pools, queue, id)).await
    }

    /// Records that pass `filter`, those that finished last first, from the place `after`, at most `limit`.
    /// Pages that follow each other's cursors have neither gaps nor doubles, whatever is stored in between.
    ///
    /// # Errors
    /// When the database cannot be asked or a record is damaged.
    pub async fn records(&self, filter: &RecordFilter, after: Option<&Cursor>, limit: u32) -> Result<Page, StoreError> {
        self.database.bounded("read a page of records", jobs::page(&self.database.pools, filter, after, limit)).await
    }

    /// Those of `keys` (job id and the time it finished, epoch milliseconds) that have no record in `queue`, in the
    /// order given.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn missing(&self, queue: &str, keys: &[(String, u64)]) -> Result<Vec<(String, u64)>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let missing = jobs::missing(&self.database.pools, queue, keys);
        let positions: BTreeSet<usize> = self.database.bounded("look for missing records", missing).await?;
        Ok(positions.into_iter().filter_map(|position| keys.get(position).cloned()).collect())
    }

    /// How many records there are of each queue and status. It reads an index of all records: ask seldom.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn counts(&self) -> Result<Vec<RecordCount>, StoreError> {
        self.database.bounded("count records", jobs::counts(&self.database.pools)).await
    }

    /// The time up to which the finished set `set` (`completed` or `failed`) of `queue` was compared with the records,
    /// epoch milliseconds; 0 when it never was.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn sweep_mark(&self, queue: &str, set: &str) -> Result<u64, StoreError> {
        self.database.bounded("read a sweep mark", sweep_marks::get(&self.database.pools, queue, set)).await
    }

    /// Moves that time forward to `finished_ms`. An earlier time has no effect, so two sweepers cannot undo each other.
    ///
    /// # Errors
    /// When it was not moved.
    pub async fn set_sweep_mark(&self, queue: &str, set: &str, finished_ms: u64) -> Result<(), StoreError> {
        let advance = sweep_marks::advance(&self.database.pools, queue, set, finished_ms);
        self.database.bounded("move a sweep mark", advance).await
    }

    /// Closes the connections after what is under way. What is begun afterwards, also through a clone, fails.
    pub async fn close(self) {
        self.database.close().await;
    }
}

/// A record with nothing in it that a database could object to, and that no queue will ever have.
fn made_up() -> JobRecord {
    JobRecord {
        queue: "operator:rehearsal".to_owned(),
        id: "0".to_owned(),
        name: "rehearsal".to_owned(),
        data: Json::null(),
        opts: Json::null(),
        outcome: Outcome::Completed { result: Json::null() },
        attempts_made: 1,
        attempts_started: 1,
        stalled: 0,
        timestamp_ms: 0,
        processed_ms: None,
        finished_ms: 0,
        worker: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers move their tasks between threads; this fails to compile when a call cannot follow.
    #[expect(dead_code, reason = "that it compiles is the test")]
    fn every_call_may_move_between_threads(store: Store, config: &StoreConfig, filter: &RecordFilter) {
        fn movable(_: impl Send) {}
        movable(Store::open(config));
        movable(store.ping());
        movable(store.insert_records(&[]));
        movable(store.rehearse_insert());
        movable(store.record(""));
        movable(store.record_in("", ""));
        movable(store.records(filter, None, 1));
        movable(store.missing("", &[]));
        movable(store.counts());
        movable(store.sweep_mark("", ""));
        movable(store.set_sweep_mark("", "", 0));
        movable(store.close());
    }
}
