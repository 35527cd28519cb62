//! What a store is opened with, and which database a URL means. Reading the environment is the binaries' business.

use std::str::FromStr;
use std::time::Duration;

use operator_core::settings::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::StoreError;

/// Long enough for a batch on a busy server, short enough that a request which waits for it is still answered.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach the database, and how hard to lean on it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `postgres://` or `sqlite://`, the value of `DATABASE_URL`. It may hold a password, so it never shows itself.
    pub url: Secret,
    /// The most connections opened for reading and writing; SQLite has one more, for writing.
    pub max_connections: u32,
    /// How long a call waits for a connection, and then again for its answer, before it fails.
    pub timeout: Duration,
}

impl StoreConfig {
    /// A configuration with the default time limit.
    #[must_use]
    pub fn new(url: Secret, max_connections: u32) -> Self {
        Self { url, max_connections, timeout: DEFAULT_TIMEOUT }
    }
}

/// The database that a URL names.
pub(crate) enum Target {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl Target {
    /// Reads `url` without ever repeating it: a mistyped URL has its password anywhere.
    pub(crate) fn of(url: &Secret) -> Result<Self, StoreError> {
        let text = url.expose();
        match text.split_once(':') {
            Some(("postgres" | "postgresql", _)) => {
                PgConnectOptions::from_str(text).map(Box::new).map(Self::Postgres).map_err(unusable)
            }
            Some(("sqlite", rest)) => {
                refuse_memory(rest)?;
                SqliteConnectOptions::from_str(text).map(Box::new).map(Self::Sqlite).map_err(unusable)
            }
            Some((scheme, rest)) if rest.starts_with("//") => {
                let known = ["mysql", "mariadb", "mongodb", "mssql", "file", "http", "https", "redis", "rediss"];
                let shown = if known.contains(&scheme) { scheme } else { "it begins with" };
                Err(bad(format!("the scheme {shown} is not supported")))
            }
            _ => Err(bad("it has no scheme")),
        }
    }

    /// The database's address for logs and errors: no password, no parameters.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Postgres(options) => {
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                format!("postgres at {}:{}/{database}", options.get_host(), options.get_port())
            }
            Self::Sqlite(options) => format!("sqlite file {}", options.get_filename().display()),
        }
    }
}

/// A database in memory would be another one in every process, and gone with it: that is no history.
fn refuse_memory(rest: &str) -> Result<(), StoreError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let (file, parameters) = path.split_once('?').unwrap_or((path, ""));
    if file.is_empty() || file == ":memory:" || parameters.contains("mode=memory") {
        return Err(bad("it names no file, and a database in memory keeps no history"));
    }
    Ok(())
}

fn unusable(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Configuration(cause) => bad(without_values(&cause.to_string())),
        // What the text of another error may quote is not known.
        _ => bad("it is malformed"),
    }
}

/// The driver's text without what it quotes from the URL; names of parameters are not in quotation marks.
fn without_values(text: &str) -> String {
    let text = text.trim_start_matches("error with configuration: ");
    text.split('"').step_by(2).collect::<Vec<_>>().join("\"…\"")
}

fn bad(problem: impl Into<String>) -> StoreError {
    StoreError::BadUrl { problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_url_is_explained_and_never_repeated() {
        for (url, part) in [
            ("mysql://user:hunter2@db/x", "the scheme mysql"),
            ("hunter2://user:hunter2@db/x", "not supported"),
            ("user:hunter2@db/x", "no scheme"),
            ("hunter2", "no scheme"),
            ("", "no scheme"),
            ("postgres://user:hunter2@db:hunter2/x", "invalid port"),
            ("postgres://user:hunter2@db/x?sslmode=hunter2", "unknown value"),
            ("sqlite::memory:", "memory"),
            ("sqlite://", "no file"),
            ("sqlite://x.db?mode=hunter2", "`mode`"),
        ] {
            let Err(error) = Target::of(&Secret::new(url)) else { panic!("{url} was accepted") };
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("DATABASE_URL") && shown.contains(part), "{url}: {shown}");
            assert!(!shown.contains("hunter2"), "{url}: {shown}");
        }
    }

    #[test]
    fn an_address_has_no_password() {
        let url = Secret::new("postgresql://user:hunter2@db.example:6000/history?sslmode=require");
        let Ok(target) = Target::of(&url) else { panic!("refused") };
        assert_eq!(target.address(), "postgres at db.example:6000/history");
    }
}
