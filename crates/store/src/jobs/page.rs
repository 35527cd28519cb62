//! Pages of records, newest first, by keyset: each begins where the last one ended, found through an index.

use operator_core::{JobRecord, JobStatus};
use sqlx::{Database, Encode, QueryBuilder, Type};

use super::row::{JobRow, columns};
use crate::Cursor;
use crate::database::{Pools, reading};
use crate::text::key;

/// Which records a page shows: those that pass every condition given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only of this job name.
    pub name: Option<String>,
    /// Only with this status. No record has one that is not an end.
    pub status: Option<JobStatus>,
}

/// Some records, and where the next page begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The records, those that finished last first.
    pub records: Vec<JobRecord>,
    /// Where to go on; `None` when these were the last.
    pub next: Option<Cursor>,
}

pub(crate) async fn page(
    pools: &Pools,
    filter: &RecordFilter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page, sqlx::Error> {
    let limit = limit.max(1);
    let mut rows: Vec<JobRow> =
        reading!(pools, pool => statement(filter, after, limit).build_query_as().fetch_all(pool).await?);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let next = if is_last { None } else { rows.last().map(cursor) };
    let records = rows.into_iter().map(JobRow::into_record).collect::<Result<_, _>>()?;
    Ok(Page { records, next })
}

fn cursor(row: &JobRow) -> Cursor {
    Cursor { finished_on: row.finished_on, queue: row.queue.clone(), id: row.id.clone() }
}

/// One row more than asked for, which tells whether there is another page.
fn statement<DB>(filter: &RecordFilter, after: Option<&Cursor>, limit: u32) -> QueryBuilder<DB>
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut sql = QueryBuilder::new(concat!("SELECT ", columns!(), " FROM jobs WHERE 1 = 1"));
    if let Some(queue) = &filter.queue {
        sql.push(" AND queue = ").push_bind(key(queue).into_owned());
    }
    if let Some(name) = &filter.name {
        sql.push(" AND name = ").push_bind(key(name).into_owned());
    }
    if let Some(status) = filter.status {
        sql.push(" AND status = ").push_bind(status.as_str().to_owned());
    }
    if let Some(after) = after {
        // The first condition says nothing new, but an index can begin there.
        sql.push(" AND finished_on <= ").push_bind(after.finished_on);
        sql.push(" AND (finished_on, queue, id) < (").push_bind(after.finished_on);
        sql.push(", ").push_bind(after.queue.clone());
        sql.push(", ").push_bind(after.id.clone()).push(")");
    }
    sql.push(" ORDER BY finished_on DESC, queue DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
    sql
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection, Executor, Row, Sqlite, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn no_page_is_made_by_sorting_or_by_reading_the_whole_table() {
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        database.execute(include_str!("../../../../migrations/sqlite/0001_jobs.sql")).await.unwrap();
        let after = Cursor { finished_on: 1, queue: "q".into(), id: "i".into() };
        for choice in 0..8 {
            let filter = RecordFilter {
                queue: (choice & 1 != 0).then(|| "q".into()),
                name: (choice & 2 != 0).then(|| "n".into()),
                status: (choice & 4 != 0).then_some(JobStatus::Failed),
            };
            for after in [None, Some(&after)] {
                let statement = statement::<Sqlite>(&filter, after, 10);
                let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql().as_str());
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut database).await.unwrap();
                let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
                assert!(plan.iter().all(|step| step.contains("USING INDEX")), "{filter:?} {after:?}: {plan:?}");
            }
        }
    }
}
