//! Opening SQLite: the file and its folder, how it writes, the schema, then the pools.

use std::path::Path;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection, SqlitePool};

use super::{Pools, migrations};
use crate::{StoreConfig, StoreError};

/// How long a start waits for other processes that are preparing the same file.
const PREPARE_LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn open(
    options: SqliteConnectOptions,
    config: &StoreConfig,
    address: &str,
) -> Result<Pools, StoreError> {
    create_folder(options.get_filename(), address)?;
    // Readers never wait for the writer in WAL. NORMAL writes through to the disk at checkpoints only: a crash of the
    // process loses nothing, a power failure may lose the last commits but never leaves a later one without an
    // earlier one, so a sweep mark that survives still stands for records that did.
    let options = options.create_if_missing(true).busy_timeout(config.timeout).synchronous(SqliteSynchronous::Normal);
    let prepare = || prepare(&options, address);
    prepare.retry(patience()).when(StoreError::may_retry).await?;
    let reader = pool(&options, config.max_connections.max(1), config.timeout, address).await?;
    let writer = pool(&options, 1, config.timeout, address).await?;
    Ok(Pools::Sqlite { reader, writer })
}

/// The database file's folder, if it is not there yet.
fn create_folder(file: &Path, address: &str) -> Result<(), StoreError> {
    let Some(folder) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|error| StoreError::Refused {
        doing: "create the folder of the database file",
        database: address.to_owned(),
        cause: error.to_string(),
    })
}

/// Switching a new file to WAL needs it alone and does not wait for that, so it fails while others start.
async fn prepare(options: &SqliteConnectOptions, address: &str) -> Result<(), StoreError> {
    const DOING: &str = "open the database file";
    let failed = |error| StoreError::of(DOING, address, &error);
    let mut connection = options.connect().await.map_err(failed)?;
    let applied = match use_wal(&mut connection).await {
        Ok(()) => migrations::apply_to_sqlite(&mut connection)
            .await
            .map_err(|error| StoreError::of_migration(address, &error)),
        Err(error) => Err(failed(error)),
    };
    connection.close().await.map_err(failed)?;
    applied
}

async fn use_wal(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    connection.execute("PRAGMA journal_mode = WAL").await.map(|_| ())
}

fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_millis(500))
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(PREPARE_LIMIT))
}

async fn pool(
    options: &SqliteConnectOptions,
    connections: u32,
    timeout: Duration,
    address: &str,
) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(timeout);
    let pool = pool.connect_with(options.clone()).await;
    pool.map_err(|error| StoreError::of("open the database file", address, &error))
}
