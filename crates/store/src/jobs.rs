//! The table `jobs`: one row per record of a finished job, one function per statement.
//! What a row means as a record is in `row`, pages are in `page`, storing is in `insert`.

mod insert;
mod page;
mod row;

use std::collections::BTreeSet;
use std::str::FromStr;

use operator_core::{JobRecord, JobStatus};
use serde::Serialize;
use sqlx::{query_as, query_scalar};

pub(crate) use insert::{insert, rehearse};
pub(crate) use page::page;
pub use page::{Page, RecordFilter};
use row::{JobRow, columns};

use crate::database::{Pools, ms, reading, stored_ms};
use crate::text::{key, original};

/// How many records a queue has of a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordCount {
    /// The queue.
    pub queue: String,
    /// How the jobs ended.
    pub status: JobStatus,
    /// How many.
    pub records: u64,
}

pub(crate) async fn newest(pools: &Pools, id: &str) -> Result<Option<JobRecord>, sqlx::Error> {
    const SQL: &str =
        concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1 ORDER BY finished_on DESC, queue LIMIT 1");
    let id = key(id);
    let row: Option<JobRow> = reading!(pools, pool => query_as(SQL).bind(&*id).fetch_optional(pool).await?);
    row.map(JobRow::into_record).transpose()
}

pub(crate) async fn newest_in(pools: &Pools, queue: &str, id: &str) -> Result<Option<JobRecord>, sqlx::Error> {
    const SQL: &str =
        concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1 AND queue = $2 ORDER BY finished_on DESC LIMIT 1");
    let (id, queue) = (key(id), key(queue));
    let row: Option<JobRow> =
        reading!(pools, pool => query_as(SQL).bind(&*id).bind(&*queue).fetch_optional(pool).await?);
    row.map(JobRow::into_record).transpose()
}

/// The positions in `keys` of those without a record. Each database takes the whole list in one statement.
pub(crate) async fn missing(
    pools: &Pools,
    queue: &str,
    keys: &[(String, u64)],
) -> Result<BTreeSet<usize>, sqlx::Error> {
    let queue = key(queue);
    let positions: Vec<i64> = match pools {
        Pools::Postgres(pool) => {
            let ids: Vec<_> = keys.iter().map(|(id, _)| key(id)).collect();
            let times: Vec<_> = keys.iter().map(|(_, finished_ms)| stored_ms(*finished_ms)).collect();
            let query = query_scalar(include_str!("jobs/missing_postgres.sql"));
            query.bind(&*queue).bind(ids).bind(times).fetch_all(pool).await?
        }
        Pools::Sqlite { reader, .. } => {
            let keys: Vec<_> = keys.iter().map(|(id, finished_ms)| (key(id), stored_ms(*finished_ms))).collect();
            let keys = serde_json::to_string(&keys).map_err(|error| sqlx::Error::Encode(error.into()))?;
            query_scalar(include_str!("jobs/missing_sqlite.sql")).bind(&*queue).bind(keys).fetch_all(reader).await?
        }
    };
    Ok(positions.into_iter().filter_map(|position| usize::try_from(position).ok()).collect())
}

pub(crate) async fn counts(pools: &Pools) -> Result<Vec<RecordCount>, sqlx::Error> {
    const SQL: &str = "SELECT queue, status, COUNT(*) FROM jobs GROUP BY queue, status ORDER BY queue, status";
    let rows: Vec<(String, String, i64)> = reading!(pools, pool => query_as(SQL).fetch_all(pool).await?);
    let count = |(queue, status, records): (String, String, i64)| {
        let status = JobStatus::from_str(&status).map_err(|problem| sqlx::Error::Decode(problem.into()))?;
        Ok(RecordCount { queue: original(queue), status, records: ms(records) })
    };
    rows.into_iter().map(count).collect()
}
