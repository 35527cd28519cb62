//! A database of either kind: its pools, the time limit on every call, and numbers as columns hold them.
//! What is asked is the tables' business; how each kind is opened is in the modules below.

mod migrations;
mod postgres;
mod sqlite;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};

use crate::config::Target;
use crate::{StoreConfig, StoreError};

/// An open database.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) pools: Pools,
    /// What errors call it; without password.
    address: String,
    timeout: Duration,
}

/// The connections. SQLite lets one connection write at a time: with one of its own, writers queue up here, in order,
/// and not in the file's lock, where they would poll.
#[derive(Clone)]
pub(crate) enum Pools {
    Postgres(PgPool),
    Sqlite { reader: SqlitePool, writer: SqlitePool },
}

/// Evaluates an expression with `$pool` bound to the pool for reading, whichever database it is of.
macro_rules! reading {
    ($pools:expr, $pool:ident => $work:expr) => {
        match $pools {
            $crate::database::Pools::Postgres($pool) => $work,
            $crate::database::Pools::Sqlite { reader: $pool, .. } => $work,
        }
    };
}

/// The same with the pool for writing.
macro_rules! writing {
    ($pools:expr, $pool:ident => $work:expr) => {
        match $pools {
            $crate::database::Pools::Postgres($pool) => $work,
            $crate::database::Pools::Sqlite { writer: $pool, .. } => $work,
        }
    };
}

pub(crate) use {reading, writing};

impl Database {
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let target = Target::of(&config.url)?;
        let address = target.address();
        let pools = match target {
            Target::Postgres(options) => postgres::open(*options, config, &address).await?,
            Target::Sqlite(options) => sqlite::open(*options, config, &address).await?,
        };
        tracing::info!(database = %address, "opened the history");
        Ok(Self { pools, address, timeout: config.timeout })
    }

    pub(crate) async fn ping(&self) -> Result<(), sqlx::Error> {
        reading!(&self.pools, pool => {
            sqlx::query("SELECT 1").execute(pool).await?;
        });
        Ok(())
    }

    /// Gives `work` twice the configured time: once to get a connection, once to be answered on it. The driver limits
    /// the first; only this limits the second when the network has swallowed the connection.
    pub(crate) async fn bounded<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.timeout * 2, work).await {
            Ok(answer) => answer.map_err(|error| StoreError::of(doing, &self.address, &error)),
            Err(_) => Err(no_answer(doing, &self.address, self.timeout * 2)),
        }
    }

    /// Waits for calls under way no longer than they may take.
    pub(crate) async fn close(&self) {
        let close = async {
            match &self.pools {
                Pools::Postgres(pool) => pool.close().await,
                Pools::Sqlite { reader, writer } => {
                    reader.close().await;
                    writer.close().await;
                }
            }
        };
        if tokio::time::timeout(self.timeout * 2, close).await.is_err() {
            tracing::warn!(database = %self.address, "left connections to the history open that did not close");
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The error of a call that ran out of time.
fn no_answer(doing: &'static str, database: &str, limit: Duration) -> StoreError {
    let cause = format!("no answer within {} ms", limit.as_millis());
    StoreError::Unreachable { doing, database: database.to_owned(), cause }
}

/// Milliseconds as a column holds them. Beyond its range, some 292 million years on, they stand still.
pub(crate) fn stored_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Milliseconds from a column.
pub(crate) fn ms(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
