//! Storing records: each once, a batch as a whole or not at all.

use operator_core::JobRecord;
use sqlx::{PgPool, SqlitePool};

use super::row::NewRow;
use crate::database::Pools;

/// The most payload in one statement. PostgreSQL takes messages of up to 1 GiB, and both sides hold them in memory.
const MAX_STATEMENT_BYTES: usize = 8 * 1024 * 1024;

/// What becomes of a transaction that went well.
#[derive(Debug, Clone, Copy)]
enum End {
    Commit,
    Rollback,
}

/// Stores those of `records` that are not stored yet, and returns how many.
pub(crate) async fn insert(pools: &Pools, records: &[JobRecord]) -> Result<u64, sqlx::Error> {
    write(pools, records, End::Commit).await
}

/// Does all that storing `records` takes, and leaves nothing behind.
pub(crate) async fn rehearse(pools: &Pools, records: &[JobRecord]) -> Result<u64, sqlx::Error> {
    write(pools, records, End::Rollback).await
}

async fn write(pools: &Pools, records: &[JobRecord], end: End) -> Result<u64, sqlx::Error> {
    let mut rows: Vec<NewRow<'_>> = records.iter().map(NewRow::of).collect();
    // Every writer takes the rows of its batch in the same order, so two with the same records cannot deadlock.
    rows.sort_by(|a, b| a.key().cmp(&b.key()));
    match pools {
        Pools::Postgres(pool) => insert_into_postgres(pool, &rows, end).await,
        Pools::Sqlite { writer, .. } => insert_into_sqlite(writer, &rows, end).await,
    }
}

async fn insert_into_postgres(pool: &PgPool, rows: &[NewRow<'_>], end: End) -> Result<u64, sqlx::Error> {
    fn column<'r, T>(rows: &'r [NewRow<'_>], field: impl Fn(&'r NewRow<'_>) -> T) -> Vec<T> {
        rows.iter().map(field).collect()
    }
    let mut transaction = pool.begin().await?;
    let mut stored = 0;
    for rows in statements(rows) {
        let query = sqlx::query(include_str!("insert_postgres.sql"))
            .bind(column(rows, |row| &*row.queue))
            .bind(column(rows, |row| &*row.id))
            .bind(column(rows, |row| &*row.name))
            .bind(column(rows, |row| row.data))
            .bind(column(rows, |row| row.opts))
            .bind(column(rows, |row| row.status))
            .bind(column(rows, |row| row.result))
            .bind(column(rows, |row| row.error.as_deref()))
            .bind(column(rows, |row| row.stack.as_deref()))
            .bind(column(rows, |row| row.attempts_made))
            .bind(column(rows, |row| row.attempts_started))
            .bind(column(rows, |row| row.stalled))
            .bind(column(rows, |row| row.created_on))
            .bind(column(rows, |row| row.processed_on))
            .bind(column(rows, |row| row.finished_on))
            .bind(column(rows, |row| row.worker.as_deref()));
        stored += query.execute(&mut *transaction).await?.rows_affected();
    }
    match end {
        End::Commit => transaction.commit().await?,
        End::Rollback => transaction.rollback().await?,
    }
    Ok(stored)
}

/// SQLite is in this process: a prepared statement per row costs no round trip.
async fn insert_into_sqlite(pool: &SqlitePool, rows: &[NewRow<'_>], end: End) -> Result<u64, sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let mut stored = 0;
    for row in rows {
        let query = sqlx::query(include_str!("insert_sqlite.sql"))
            .bind(&*row.queue)
            .bind(&*row.id)
            .bind(&*row.name)
            .bind(row.data)
            .bind(row.opts)
            .bind(row.status)
            .bind(row.result)
            .bind(row.error.as_deref())
            .bind(row.stack.as_deref())
            .bind(row.attempts_made)
            .bind(row.attempts_started)
            .bind(row.stalled)
            .bind(row.created_on)
            .bind(row.processed_on)
            .bind(row.finished_on)
            .bind(row.worker.as_deref());
        stored += query.execute(&mut *transaction).await?.rows_affected();
    }
    match end {
        End::Commit => transaction.commit().await?,
        End::Rollback => transaction.rollback().await?,
    }
    Ok(stored)
}

/// Cuts `rows` where the next one would pass [`MAX_STATEMENT_BYTES`]; one row alone may.
fn statements<'r, 'a>(rows: &'r [NewRow<'a>]) -> impl Iterator<Item = &'r [NewRow<'a>]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|row| {
            bytes += row.bytes();
            bytes <= MAX_STATEMENT_BYTES
        });
        let (statement, later) = rest.split_at(fitting.count().max(1).min(rest.len()));
        rest = later;
        (!statement.is_empty()).then_some(statement)
    })
}
