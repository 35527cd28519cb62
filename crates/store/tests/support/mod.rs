//! Places for a store to live in, and records to put there, shared by the tests of this folder.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses the part it needs")]

use std::path::PathBuf;
use std::time::Duration;

use operator_core::settings::Secret;
use operator_core::{JobRecord, Json, Outcome};
use operator_store::{Store, StoreConfig};
use operator_testkit::postgres::PostgresServer;
use tempfile::TempDir;

/// An empty database of a test's own.
pub struct Place {
    pub url: String,
    /// Holds the file, for SQLite.
    folder: Option<TempDir>,
}

impl Place {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made/when missing/history.db");
        Self { url: format!("sqlite://{}", file.display()), folder: Some(folder) }
    }

    pub fn postgres() -> Self {
        Self { url: PostgresServer::shared().new_database(), folder: None }
    }

    pub fn file(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("sqlite://").unwrap())
    }

    pub fn config(&self) -> StoreConfig {
        StoreConfig::new(Secret::new(self.url.as_str()), 4)
    }

    /// A configuration with a limit so short that a test can wait for it.
    pub fn hasty(&self) -> StoreConfig {
        StoreConfig { timeout: Duration::from_millis(300), ..self.config() }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.config()).await.unwrap()
    }
}

/// A completed job of the queue `default`.
pub fn completed(id: &str, finished_ms: u64) -> JobRecord {
    JobRecord {
        queue: "default".into(),
        id: id.into(),
        name: "system.echo".into(),
        data: Json::parse(r#"{"b":1,"a":2}"#).unwrap(),
        opts: Json::parse(r#"{"attempts":3}"#).unwrap(),
        outcome: Outcome::Completed { result: Json::parse("[1]").unwrap() },
        attempts_made: 1,
        attempts_started: 1,
        stalled: 0,
        timestamp_ms: 1_700_000_000_000,
        processed_ms: Some(1_700_000_000_001),
        finished_ms,
        worker: Some("host:1".into()),
    }
}

/// A failed job of the queue `default`.
pub fn failed(id: &str, finished_ms: u64, error: &str) -> JobRecord {
    let outcome = Outcome::Failed { error: error.into(), stack: vec!["at step 1".into()] };
    JobRecord { outcome, ..completed(id, finished_ms) }
}
