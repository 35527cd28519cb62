//! What can go wrong with Redis itself.

use fred::error::ErrorKind;
use thiserror::Error;

use super::RedisConfig;

/// Why Redis could not be used. No variant shows a URL's user or password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedisError {
    /// The URL is unusable; nothing was tried.
    #[error("REDIS_URL is not usable: {problem}")]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// The key prefix is unusable.
    #[error("OPERATOR_PREFIX `{prefix}` is not usable: it must not be empty or contain white space")]
    Prefix {
        /// The refused prefix.
        prefix: String,
    },
    /// Nobody answered at the address in time.
    #[error("no redis answers at {address} ({problem}): start one, or point REDIS_URL at one that runs")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The last thing that went wrong.
        problem: String,
    },
    /// The server answered and refused the user, the password or the database.
    #[error("redis at {address} refused the connection ({problem}): check user, password and database in REDIS_URL")]
    RefusedUs {
        /// Host and port.
        address: String,
        /// The server's reason.
        problem: String,
    },
    /// The server lacks commands that the scripts use.
    #[error("redis {version} is too old: version {needed} or newer is needed")]
    TooOld {
        /// What the server says it is.
        version: String,
        /// What it has to be.
        needed: &'static str,
    },
    /// The server deletes keys when memory is short, and jobs with them.
    #[error(
        "redis has maxmemory-policy {policy}, which deletes jobs when memory is short: set it to noeviction \
         (redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf)"
    )]
    Evicts {
        /// The policy it has.
        policy: String,
    },
    /// The connection broke or a deadline passed; the command may or may not have taken effect.
    #[error("lost redis while waiting for an answer: {problem}")]
    Lost {
        /// What happened.
        problem: String,
    },
    /// The server answered with an error.
    #[error("redis refused a command: {problem}")]
    Command {
        /// The server's words.
        problem: String,
    },
    /// The server answered something that the command cannot answer.
    #[error("redis gave an unexpected answer for {what}")]
    Answer {
        /// What was asked.
        what: &'static str,
    },
}

impl RedisError {
    /// Whether the command may have taken effect although its caller got this error.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    pub(super) fn unreachable(config: &RedisConfig, error: &fred::error::Error) -> Self {
        Self::Unreachable { address: config.address(), problem: error.details().to_owned() }
    }

    pub(super) fn refused(config: &RedisConfig, error: &fred::error::Error) -> Self {
        Self::RefusedUs { address: config.address(), problem: error.details().to_owned() }
    }
}

impl From<fred::error::Error> for RedisError {
    fn from(error: fred::error::Error) -> Self {
        let problem = error.details().to_owned();
        match error.kind() {
            ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Timeout | ErrorKind::Routing | ErrorKind::Tls => {
                Self::Lost { problem }
            }
            // A replica that has not been promoted yet, or a server that is still loading its data.
            _ if ["READONLY", "LOADING", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN"]
                .iter()
                .any(|word| problem.starts_with(word)) =>
            {
                Self::Lost { problem }
            }
            _ => Self::Command { problem },
        }
    }
}
