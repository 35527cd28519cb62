//! Why a dispatcher did not start, and the exit code that says so.

use operator_queue::RedisError;
use operator_store::StoreError;
use operator_telemetry::{Exit, ListenError};
use thiserror::Error;

/// Why a dispatcher did not start. Each message says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The socket could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Redis cannot be reached or is not fit for queues.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The database cannot be reached or used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Neither can be used: both are said at once, so that nobody mends one to learn of the other.
    #[error("{redis}; and {store}")]
    Both {
        /// What is wrong with Redis.
        redis: RedisError,
        /// What is wrong with the database.
        store: StoreError,
    },
}

impl StartError {
    /// Whether starting again may be enough, or something must be changed first.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Listen(_) => Exit::Config,
            Self::Redis(error) => of_redis(error),
            Self::Store(error) => of_store(error),
            Self::Both { redis, store } => match (of_redis(redis), of_store(store)) {
                (Exit::Unavailable, Exit::Unavailable) => Exit::Unavailable,
                _ => Exit::Config,
            },
        }
    }
}

fn of_redis(error: &RedisError) -> Exit {
    if error.is_final() { Exit::Config } else { Exit::Unavailable }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Unreachable { .. } => Exit::Unavailable,
        StoreError::Query { .. } => Exit::Internal,
        _ => Exit::Config,
    }
}
