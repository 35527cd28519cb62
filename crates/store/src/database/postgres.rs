//! Opening PostgreSQL: the schema first, over a connection of its own, then the pool.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::{Pools, migrations, no_answer};
use crate::{StoreConfig, StoreError};

/// How long migrations may take, one's own or those of the process that came first: an index over a very large table
/// takes its time, while a lost network must not hold a start for ever.
const MIGRATION_LIMIT: Duration = Duration::from_secs(3600);

pub(super) async fn open(options: PgConnectOptions, config: &StoreConfig, address: &str) -> Result<Pools, StoreError> {
    migrate(&options, config.timeout, address).await?;
    let pool = pool_options(config).connect_with(options).await;
    pool.map(Pools::Postgres).map_err(|error| StoreError::of("connect to the database", address, &error))
}

/// A connection of its own: it has no statement time limit, and closing it lets go of the lock in every case.
async fn migrate(options: &PgConnectOptions, timeout: Duration, address: &str) -> Result<(), StoreError> {
    const CONNECT: &str = "connect to the database";
    let mut connection = match tokio::time::timeout(timeout, options.connect()).await {
        Ok(connection) => connection.map_err(|error| StoreError::of(CONNECT, address, &error))?,
        Err(_) => return Err(no_answer(CONNECT, address, timeout)),
    };
    let applied = tokio::time::timeout(MIGRATION_LIMIT, migrations::apply_to_postgres(&mut connection)).await;
    // A farewell that fails changes nothing: the connection is gone either way.
    let _ = tokio::time::timeout(timeout, connection.close()).await;
    match applied {
        Ok(applied) => applied.map_err(|error| StoreError::of_migration(address, &error)),
        Err(_) => Err(no_answer("apply the migrations", address, MIGRATION_LIMIT)),
    }
}

fn pool_options(config: &StoreConfig) -> PgPoolOptions {
    let limit = config.timeout;
    PgPoolOptions::new()
        .max_connections(config.max_connections.max(1))
        .acquire_timeout(limit)
        // The server ends a statement whose client gave up; without it each retry would leave one more behind.
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let sql = format!("SET statement_timeout = {}", limit.as_millis());
                connection.execute(AssertSqlSafe(sql)).await.map(|_| ())
            })
        })
        // The driver tests a connection that comes back, without a limit: a lost network would keep its place for as
        // long as TCP hopes. An error here gives the place to a new connection.
        .after_release(move |connection, _| {
            Box::pin(async move {
                match tokio::time::timeout(limit, connection.ping()).await {
                    Ok(alive) => alive.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
}
