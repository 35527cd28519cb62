//! A database that is away, slow, wrong or damaged: always one clear error, never a wait without end, and the store
//! works again as soon as the database does.

mod support;

use std::net::TcpListener;
use std::time::Duration;

use operator_core::settings::Secret;
use operator_store::{RecordFilter, Store, StoreConfig, StoreError};
use operator_testkit::eventually;
use operator_testkit::postgres::PostgresServer;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use support::{Place, completed};

fn config(url: impl Into<String>) -> StoreConfig {
    StoreConfig { timeout: Duration::from_millis(300), ..StoreConfig::new(Secret::new(url), 2) }
}

fn is_unreachable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreachable { .. }) && error.may_retry()
}

#[tokio::test]
async fn a_restarted_server_is_used_again() {
    let mut server = PostgresServer::start();
    let store = Store::open(&config(server.new_database())).await.unwrap();
    assert_eq!(store.insert_records(&[completed("a", 1)]).await, Ok(1));
    server.kill();
    for _ in 0..3 {
        let error = store.insert_records(&[completed("b", 1)]).await.unwrap_err();
        assert!(is_unreachable(&error), "{error}");
    }
    server.restart();
    let stored = eventually("the store to reconnect", async || store.insert_records(&[completed("b", 1)]).await.ok());
    assert_eq!(stored.await, 1);
    assert_eq!(store.records(&RecordFilter::default(), None, 9).await.unwrap().records.len(), 2);
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_unreachable_and_its_password_untold() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = Store::open(&config(format!("postgres://me:hunter2@127.0.0.1:{port}/x"))).await.unwrap_err();
    assert!(is_unreachable(&error) && error.to_string().contains("no answer"), "{error}");
    drop(silent);
    let error = Store::open(&config(format!("postgres://me:hunter2@127.0.0.1:{port}/x"))).await.unwrap_err();
    assert!(is_unreachable(&error) && error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_no_reason_to_retry() {
    let url = PostgresServer::shared().url_of("nowhere");
    let error = Store::open(&config(url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }) && !error.may_retry(), "{error}");
    assert!(error.to_string().contains("DATABASE_URL"), "{error}");
}

#[tokio::test]
async fn a_locked_table_gives_an_error_and_then_its_place_back() {
    let place = Place::postgres();
    let store = Store::open(&place.hasty()).await.unwrap();
    let mut other = PgConnection::connect(&place.url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    lock.execute("LOCK TABLE jobs").await.unwrap();
    // More often than there are connections.
    for _ in 0..6 {
        let error = store.insert_records(&[completed("a", 1)]).await.unwrap_err();
        assert!(is_unreachable(&error), "{error}");
    }
    lock.rollback().await.unwrap();
    let stored = eventually("the store to work again", async || store.insert_records(&[completed("a", 1)]).await.ok());
    assert_eq!(stored.await, 1);
}

#[tokio::test]
async fn a_locked_file_gives_an_error_to_writers_and_answers_to_readers() {
    let place = Place::sqlite();
    let store = Store::open(&place.hasty()).await.unwrap();
    let mut other = SqliteConnection::connect(&place.url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = store.insert_records(&[completed("a", 1)]).await.unwrap_err();
    assert!(is_unreachable(&error), "{error}");
    assert_eq!(store.record("a").await, Ok(None));
    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(store.insert_records(&[completed("a", 1)]).await, Ok(1));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let place = Place::sqlite();
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    std::fs::write(place.file(), "a letter, not a database\n".repeat(100)).unwrap();
    let error = Store::open(&place.config()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(std::fs::read_to_string(place.file()).unwrap().starts_with("a letter"));
}

#[tokio::test]
async fn a_damaged_record_is_named() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.insert_records(&[completed("broken", 7), completed("whole", 7)]).await.unwrap();
    let mut other = SqliteConnection::connect(&place.url).await.unwrap();
    other.execute("UPDATE jobs SET data = '{' WHERE id = 'broken'").await.unwrap();
    let error = store.record("broken").await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("job broken in queue default") && error.to_string().contains("data"), "{error}");
    assert_eq!(store.record("whole").await, Ok(Some(completed("whole", 7))));
}

#[tokio::test]
async fn a_database_that_refuses_every_record_says_so_though_it_has_none() {
    let sqlite = Place::sqlite();
    let store = sqlite.open().await;
    assert_eq!(store.rehearse_insert().await, Ok(()));
    assert_eq!(store.counts().await, Ok(Vec::new()), "a rehearsal leaves nothing behind");
    let mut other = SqliteConnection::connect(&sqlite.url).await.unwrap();
    other.execute("CREATE TRIGGER no BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'not here'); END").await.unwrap();
    assert!(matches!(store.rehearse_insert().await, Err(StoreError::Query { .. })));

    let postgres = Place::postgres();
    let store = postgres.open().await;
    assert_eq!(store.rehearse_insert().await, Ok(()));
    assert_eq!(store.counts().await, Ok(Vec::new()));
    let mut other = PgConnection::connect(&postgres.url).await.unwrap();
    other.execute("ALTER TABLE jobs ADD COLUMN mine text NOT NULL").await.unwrap();
    assert!(matches!(store.rehearse_insert().await, Err(StoreError::Query { .. })));
}
