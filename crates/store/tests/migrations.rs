//! Migrations: numbered alike for both databases, each applied over the rows of all earlier ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::path::{Path, PathBuf};

use operator_core::{Json, Outcome};
use operator_store::StoreError;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use support::Place;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations")
}

async fn migrator(database: &str) -> Migrator {
    Migrator::new(folder().join(database)).await.unwrap()
}

/// The rows that belong to a migration, which every migration must have.
fn sample(version: i64) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/samples/{version:04}.sql"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("migration {version} has no {path:?}: {error}"))
}

async fn the_samples_survive(place: &Place) {
    let store = place.open().await;
    let record = store.record("sample-1").await.unwrap().unwrap();
    assert_eq!(record.data, Json::parse(r#"{"b": 1, "a": 2}"#).unwrap());
    let record = store.record("sample-2").await.unwrap().unwrap();
    assert_eq!(record.outcome, Outcome::Failed { error: "it broke".into(), stack: vec!["at step 1".into()] });
    assert_eq!(store.sweep_mark("default", "completed").await, Ok(1_700_000_000_020));
}

#[tokio::test]
async fn both_databases_have_the_same_migrations() {
    let names = async |database| -> Vec<_> {
        let migrator = migrator(database).await;
        migrator.iter().map(|migration| (migration.version, migration.description.clone())).collect()
    };
    let postgres = names("postgres").await;
    assert_eq!(postgres, names("sqlite").await);
    assert!(postgres.iter().map(|(version, _)| *version).eq(1..=postgres.len().try_into().unwrap()));
}

#[tokio::test]
async fn every_migration_applies_over_rows_in_postgres() {
    let place = Place::postgres();
    let migrator = migrator("postgres").await;
    let mut connection = PgConnection::connect(&place.url).await.unwrap();
    for migration in migrator.iter() {
        migrator.run_to(migration.version, &mut connection).await.unwrap();
        connection.execute(AssertSqlSafe(sample(migration.version))).await.unwrap();
    }
    the_samples_survive(&place).await;
}

#[tokio::test]
async fn every_migration_applies_over_rows_in_sqlite() {
    let place = Place::sqlite();
    let migrator = migrator("sqlite").await;
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    let mut connection = SqliteConnection::connect(&format!("{}?mode=rwc", place.url)).await.unwrap();
    for migration in migrator.iter() {
        migrator.run_to(migration.version, &mut connection).await.unwrap();
        connection.execute(AssertSqlSafe(sample(migration.version))).await.unwrap();
    }
    the_samples_survive(&place).await;
}

/// As a newer release would leave it.
const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
     SELECT 9000, 'later', success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";

/// As if the file had been edited after it was applied.
const EDITED: &str = "UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1";

#[tokio::test]
async fn a_newer_schema_is_refused_by_name_in_postgres() {
    let place = Place::postgres();
    place.open().await.close().await;
    PgConnection::connect(&place.url).await.unwrap().execute(NEWER).await.unwrap();
    // Twice: the first refusal must not keep the lock.
    for _ in 0..2 {
        let error = operator_store::Store::open(&place.config()).await.unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { version: 9000, .. }), "{error}");
        assert!(error.to_string().contains("run the newer release"), "{error}");
    }
}

#[tokio::test]
async fn a_newer_or_edited_schema_is_refused_by_name_in_sqlite() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let mut connection = SqliteConnection::connect(&place.url).await.unwrap();
    connection.execute(NEWER).await.unwrap();
    let error = operator_store::Store::open(&place.config()).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { version: 9000, .. }), "{error}");
    connection.execute("DELETE FROM _sqlx_migrations WHERE version = 9000").await.unwrap();
    connection.execute(EDITED).await.unwrap();
    let error = operator_store::Store::open(&place.config()).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }) && error.to_string().contains("modified"), "{error}");
}
