//! The migrations, and who applies them when many processes start at once.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, PgConnection, SqliteConnection};

/// Names our lock among the advisory locks of the database; any number that nobody else uses.
const LOCK: i64 = 0x6f70_6572_6174_6f72;

/// How often a process asks whether the one that migrates is done.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Applies what is missing. The lock belongs to the connection and goes with it, whatever happens.
///
/// The driver's own lock is not used: who waits for it holds a snapshot, and `CREATE INDEX CONCURRENTLY` in the process
/// that has it would wait for that snapshot, for ever.
pub(super) async fn apply_to_postgres(connection: &mut PgConnection) -> Result<(), MigrateError> {
    while !try_lock(connection).await? {
        tokio::time::sleep(LOCK_POLL).await;
    }
    unlocked(sqlx::migrate!("../../migrations/postgres")).run_direct(None, connection, false).await
}

/// Applies what is missing in one transaction, which has the file's write lock from its first statement.
pub(super) async fn apply_to_sqlite(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    unlocked(sqlx::migrate!("../../migrations/sqlite")).run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(())
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(connection).await
}

fn unlocked(mut migrator: Migrator) -> Migrator {
    migrator.set_locking(false);
    migrator
}
