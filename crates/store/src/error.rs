//! Why the store could not do what it was asked to, sorted by what the caller can do about it.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use thiserror::Error;

/// Why a call failed. No variant ever holds the URL or its password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The setting is wrong: stop and say so.
    #[error(
        "DATABASE_URL is not usable: {problem}; use postgres://user:password@host:5432/name or sqlite://path/to/file.db"
    )]
    BadUrl {
        /// What is wrong with it.
        problem: String,
    },
    /// The database is away, busy, full or too slow: try again later, nothing was changed.
    #[error("failed to {doing} ({database}): {cause}; it is worth trying again")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// Which database, without its password.
        database: String,
        /// What the driver says.
        cause: String,
    },
    /// The database answers and lets us not in: someone must change its rights or the setting.
    #[error(
        "failed to {doing} ({database}): {cause}; check the user, password, database name and rights of DATABASE_URL"
    )]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// Which database, without its password.
        database: String,
        /// What the driver says.
        cause: String,
    },
    /// A newer release has changed the schema: run that release, or another database.
    #[error(
        "the schema of the database ({database}) is at migration {version}, which this release does not know: run the \
         newer release, or point DATABASE_URL at another database"
    )]
    NewerSchema {
        /// Which database, without its password.
        database: String,
        /// The first migration that is not known here.
        version: i64,
    },
    /// A migration failed or was changed after it was applied: someone must look.
    #[error("failed to apply the migrations ({database}): {cause}; the database was left as it was before")]
    Migration {
        /// Which database, without its password.
        database: String,
        /// What the driver says.
        cause: String,
    },
    /// What is stored is damaged: restore it, or remove the record.
    #[error("failed to {doing} ({database}): what is stored is damaged: {cause}")]
    Corrupt {
        /// What was being done.
        doing: &'static str,
        /// Which database, without its password.
        database: String,
        /// What is wrong, and where if that is known.
        cause: String,
    },
    /// The database refused a statement: a fault of this program.
    #[error("failed to {doing} ({database}): {cause}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// Which database, without its password.
        database: String,
        /// What the driver says.
        cause: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    pub(crate) fn of(doing: &'static str, database: &str, error: &sqlx::Error) -> Self {
        let database = database.to_owned();
        let cause = error.to_string();
        match Kind::of(error) {
            Kind::Unreachable => Self::Unreachable { doing, database, cause },
            Kind::Refused => Self::Refused { doing, database, cause },
            Kind::Corrupt => Self::Corrupt { doing, database, cause },
            Kind::Query => Self::Query { doing, database, cause },
        }
    }

    pub(crate) fn of_migration(database: &str, error: &MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => {
                Self::NewerSchema { database: database.to_owned(), version: *version }
            }
            MigrateError::Execute(cause) => Self::of("prepare the migrations", database, cause),
            MigrateError::ExecuteMigration(cause, _) if Kind::of(cause) != Kind::Query => {
                Self::of("apply a migration", database, cause)
            }
            _ => Self::Migration { database: database.to_owned(), cause: error.to_string() },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unreachable,
    Refused,
    Corrupt,
    Query,
}

impl Kind {
    fn of(error: &sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => Self::Unreachable,
            E::Tls(_) => Self::Refused,
            E::ColumnDecode { .. } | E::Decode(_) => Self::Corrupt,
            E::Database(error) => Self::of_answer(error.as_ref()),
            _ => Self::Query,
        }
    }

    /// PostgreSQL's codes have five characters, SQLite's are numbers.
    fn of_answer(error: &dyn DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        match code.parse::<u32>() {
            Ok(number) if code.len() < 5 => Self::of_sqlite(number & 0xff),
            _ => Self::of_postgres(&code),
        }
    }

    /// <https://www.sqlite.org/rescode.html>, without the extension in the upper bits.
    fn of_sqlite(code: u32) -> Self {
        match code {
            // busy, locked, interrupted, I/O error, disk full
            5 | 6 | 9 | 10 | 13 => Self::Unreachable,
            // no permission, read only, cannot open, not authorized
            3 | 8 | 14 | 23 => Self::Refused,
            // malformed, not a database
            11 | 26 => Self::Corrupt,
            _ => Self::Query,
        }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn of_postgres(code: &str) -> Self {
        match code {
            // damaged data or index
            "XX001" | "XX002" => Self::Corrupt,
            // no such database, no such right
            "3D000" | "42501" => Self::Refused,
            // a standby that was not yet promoted, a lock that was not free
            "25006" | "55P03" => Self::Unreachable,
            _ => match code.get(..2) {
                // not authorized
                Some("28") => Self::Refused,
                // connection lost, transaction rolled back, out of resources, operator intervention, system error
                Some("08" | "40" | "53" | "57" | "58") => Self::Unreachable,
                _ => Self::Query,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn codes_are_sorted_by_what_helps() {
        for code in ["08006", "40P01", "53100", "57P01", "57014", "25006"] {
            assert_eq!(Kind::of_postgres(code), Kind::Unreachable, "{code}");
        }
        assert_eq!(Kind::of_postgres("28P01"), Kind::Refused);
        assert_eq!(Kind::of_postgres("42601"), Kind::Query);
        assert_eq!(Kind::of_sqlite(517 & 0xff), Kind::Unreachable);
        assert_eq!(Kind::of_sqlite(26), Kind::Corrupt);
    }
}
