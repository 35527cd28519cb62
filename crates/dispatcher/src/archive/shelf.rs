//! Storing records, whatever the database does: while it is away the batch is held and tried again; a record that it
//! refuses is found, logged, counted and left out, so that it does not hold up the others.

use std::future::Future;

use operator_core::JobRecord;
use operator_store::{Store, StoreError};
use operator_telemetry::names;
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::pulse::Beat;

/// The most records stored in one transaction.
const MAX_RECORDS: usize = 1000;

/// What a shelf needs of a database.
pub(super) trait Database: Send + Sync {
    /// Stores records and tells how many were new; all or none.
    fn insert(&self, records: &[JobRecord]) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Tells whether a record that surely is acceptable is accepted.
    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Database for Store {
    fn insert(&self, records: &[JobRecord]) -> impl Future<Output = Result<u64, StoreError>> + Send {
        self.insert_records(records)
    }

    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.rehearse_insert()
    }
}

/// Stores for one task of the archive.
pub(super) struct Shelf<D = Store> {
    database: D,
    pub(super) stop: CancellationToken,
    pub(super) beat: Beat,
    outage: Outage,
}

/// Whether records are taken care of: stored, or refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelved {
    /// They are.
    All,
    /// We were told to stop before: they must stay in Redis.
    Stopped,
}

impl<D: Database> Shelf<D> {
    pub(super) fn new(database: D, stop: CancellationToken, beat: Beat) -> Self {
        Self { database, stop, beat, outage: Outage::default() }
    }

    /// Takes care of `records`, however long it takes.
    pub(super) async fn store(&mut self, records: &[JobRecord]) -> Shelved {
        // The parts that are still to be stored, the next one last.
        let mut parts: Vec<&[JobRecord]> = records.chunks(MAX_RECORDS).rev().collect();
        while let Some(part) = parts.pop() {
            self.beat.beat();
            let error = match self.database.insert(part).await {
                Ok(new) => {
                    self.outage.over("the database takes records");
                    count("stored", new);
                    count("duplicate", (part.len() as u64).saturating_sub(new));
                    continue;
                }
                Err(error) => error,
            };
            if is_about_content(&error) && part.len() > 1 {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            } else if is_about_content(&error) && self.database.probe().await.is_ok() {
                reject(part, &error);
            } else {
                if self.stop.is_cancelled() {
                    return Shelved::Stopped;
                }
                self.outage.wait("the database does not take the records of finished jobs", &error, &self.stop).await;
                parts.push(part);
            }
        }
        Shelved::All
    }
}

/// Whether another record might have been stored. All other errors are about the database.
fn is_about_content(error: &StoreError) -> bool {
    matches!(error, StoreError::Query { .. } | StoreError::Corrupt { .. })
}

fn reject(records: &[JobRecord], error: &StoreError) {
    for JobRecord { queue, id, name, finished_ms, .. } in records {
        tracing::error!(queue, id, name, finished_ms, %error, "the database refuses a record: it is left out of history");
    }
    count("rejected", records.len() as u64);
}

fn count(outcome: &'static str, records: u64) {
    metrics::counter!(names::HISTORY_RECORDS, "outcome" => outcome).increment(records);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};
    use std::sync::{Arc, Mutex};

    use operator_core::{Json, Outcome};

    use super::*;

    /// Refuses jobs called `bad`, answers with what is scripted first, and probes as it is told.
    #[derive(Clone, Default)]
    struct Fake {
        scripted: Arc<Mutex<VecDeque<StoreError>>>,
        stored: Arc<Mutex<BTreeSet<String>>>,
        probe: Option<StoreError>,
    }

    impl Database for Fake {
        async fn insert(&self, records: &[JobRecord]) -> Result<u64, StoreError> {
            if let Some(error) = self.scripted.lock().unwrap().pop_front() {
                return Err(error);
            }
            if records.iter().any(|record| record.name == "bad") {
                return Err(refused());
            }
            let mut stored = self.stored.lock().unwrap();
            Ok(records.iter().filter(|record| stored.insert(record.id.clone())).count() as u64)
        }

        async fn probe(&self) -> Result<(), StoreError> {
            self.probe.clone().map_or(Ok(()), Err)
        }
    }

    fn refused() -> StoreError {
        StoreError::Query { doing: "store records", database: "fake".into(), cause: "no".into() }
    }

    fn away() -> StoreError {
        StoreError::Unreachable { doing: "store records", database: "fake".into(), cause: "gone".into() }
    }

    fn record(id: usize, name: &str) -> JobRecord {
        JobRecord {
            queue: "q".into(),
            id: id.to_string(),
            name: name.into(),
            data: Json::null(),
            opts: Json::null(),
            outcome: Outcome::Completed { result: Json::null() },
            attempts_made: 1,
            attempts_started: 1,
            stalled: 0,
            timestamp_ms: 1,
            processed_ms: None,
            finished_ms: 2,
            worker: None,
        }
    }

    fn shelf(fake: &Fake) -> Shelf<Fake> {
        Shelf::new(fake.clone(), CancellationToken::new(), Beat::new())
    }

    #[tokio::test]
    async fn refused_records_are_left_out_and_all_others_stored() {
        let fake = Fake::default();
        let records: Vec<_> = (0..2500).map(|id| record(id, if id % 997 == 5 { "bad" } else { "good" })).collect();
        assert_eq!(shelf(&fake).store(&records).await, Shelved::All);
        let good = records.iter().filter(|record| record.name == "good").map(|record| record.id.clone());
        assert_eq!(*fake.stored.lock().unwrap(), good.collect());
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_waited_for() {
        let fake = Fake::default();
        fake.scripted.lock().unwrap().extend((0..2).map(|_| away()));
        assert_eq!(shelf(&fake).store(&[record(1, "good")]).await, Shelved::All);
        assert_eq!(fake.stored.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_database_that_refuses_everything_loses_nothing() {
        let fake = Fake { probe: Some(refused()), ..Fake::default() };
        fake.scripted.lock().unwrap().extend((0..4).map(|_| refused()));
        let records: Vec<_> = (0..4).map(|id| record(id, "good")).collect();
        assert_eq!(shelf(&fake).store(&records).await, Shelved::All);
        assert_eq!(fake.stored.lock().unwrap().len(), 4);
    }

    #[tokio::test]
    async fn told_to_stop_it_gives_up_a_batch_that_cannot_be_stored() {
        let fake = Fake::default();
        fake.scripted.lock().unwrap().extend([away()]);
        let mut shelf = shelf(&fake);
        shelf.stop.cancel();
        assert_eq!(shelf.store(&[record(1, "good")]).await, Shelved::Stopped);
    }
}
