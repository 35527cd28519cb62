//! What can go wrong with Redis itself.

use fred::error::ErrorKind;
use thiserror::Error;

use super::{RedisConfig, tls};

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
    /// The authorities' certificates are unusable; nothing was tried.
    #[error(
        "REDIS_CA is not usable ({problem}): it is to hold certificates in PEM, or REDIS_CA_FILE their file's path"
    )]
    Authority {
        /// What is wrong with it.
        problem: String,
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
    /// No encrypted connection came about.
    #[error("cannot speak TLS with redis at {address} ({problem}): {remedy}")]
    Tls {
        /// Host and port.
        address: String,
        /// What the handshake failed of.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The server is another kind than the URL says.
    #[error("redis at {address} is {kind}: {remedy}")]
    WrongKind {
        /// Host and port.
        address: String,
        /// What it is.
        kind: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A cluster would spread the queue's keys over its servers; nothing was written.
    #[error(
        "the keys of queue `{queue}` share no hash tag, and a Redis Cluster would spread them over its servers: set \
         OPERATOR_PREFIX to `{{{prefix}}}`, which puts all queues on one server, or name the queue `{{{queue}}}`"
    )]
    NoHashTag {
        /// The prefix.
        prefix: String,
        /// The queue's name.
        queue: String,
    },
    /// The user may not do what the queues need.
    #[error("redis does not allow it ({problem}): give the user in REDIS_URL the rights listed in docs/redis.md")]
    Denied {
        /// The server's words, or the commands that are missing.
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

    /// Whether the server took offence at what it was sent, and not at who sent it or when.
    pub(crate) fn blames_arguments(&self) -> bool {
        let words = ["user_script", "WRONGTYPE", "Protocol error"];
        matches!(self, Self::Command { problem } if words.iter().any(|word| problem.contains(word)))
    }

    /// Whether something must be changed first: waiting and starting again does not help.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Url { .. }
            | Self::Prefix { .. }
            | Self::Authority { .. }
            | Self::RefusedUs { .. }
            | Self::Tls { .. }
            | Self::WrongKind { .. }
            | Self::NoHashTag { .. }
            | Self::Denied { .. }
            | Self::TooOld { .. }
            | Self::Evicts { .. } => true,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Command { .. } | Self::Answer { .. } => false,
        }
    }

    /// What is wrong, without the name of the setting that it is wrong with.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Url { problem } | Self::Authority { problem } => problem.clone(),
            other => other.to_string(),
        }
    }

    pub(super) fn unreachable(config: &RedisConfig, error: &fred::error::Error) -> Self {
        Self::Unreachable { address: config.address(), problem: error.details().to_owned() }
    }

    /// What a connection that will not come about failed of.
    pub(super) fn refused(config: &RedisConfig, error: &fred::error::Error) -> Self {
        let (address, problem) = (config.address(), error.details().to_owned());
        if is_tls(error) {
            let remedy = tls::remedy(&problem);
            return Self::Tls { address, problem, remedy };
        }
        if problem.contains(UNKNOWN_MASTER) {
            let problem = "the Sentinels watch no master of the name in sentinelServiceName".to_owned();
            return Self::Url { problem };
        }
        if problem.contains("cluster support disabled") {
            let remedy = "use redis:// instead of redis-cluster:// in REDIS_URL";
            return Self::WrongKind { address, kind: "no cluster", remedy };
        }
        if is_denial(&problem) {
            return Self::Denied { problem };
        }
        Self::RefusedUs { address, problem }
    }
}

/// The client's words when the Sentinels know no master of the name.
pub(super) const UNKNOWN_MASTER: &str = "Missing primary address";

/// The server cannot carry out commands for now: it is a replica that has not been promoted yet, still loads its data,
/// is busy with somebody's script, or may not write without its replicas or its disk.
const NOT_NOW: &[&str] = &[
    "READONLY",
    "LOADING",
    "BUSY ",
    "MASTERDOWN",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "MISCONF",
    "UNBLOCKED",
    "MOVED",
];

impl From<fred::error::Error> for RedisError {
    fn from(error: fred::error::Error) -> Self {
        let problem = error.details().to_owned();
        match error.kind() {
            ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Timeout | ErrorKind::Routing | ErrorKind::Tls => {
                Self::Lost { problem }
            }
            // Redis 6.2 puts the word of a script's error behind words of its own.
            _ if NOT_NOW.iter().any(|word| problem.starts_with(word) || problem.contains(&format!(" -{word}"))) => {
                Self::Lost { problem }
            }
            // The client's own words while it looks for the server.
            ErrorKind::Sentinel => Self::Lost { problem },
            _ if ["Failed to route command", "Too many failed write attempts"]
                .iter()
                .any(|words| problem.starts_with(words)) =>
            {
                Self::Lost { problem }
            }
            _ if is_denial(&problem) => Self::Denied { problem },
            _ => Self::Command { problem },
        }
    }
}

/// A handshake that failed; the I/O layer wraps the TLS library's errors in its own.
pub(super) fn is_tls(error: &fred::error::Error) -> bool {
    let words = ["InvalidCertificate", "InvalidContentType", "InvalidMessage", "AlertReceived", "PeerIncompatible"];
    *error.kind() == ErrorKind::Tls || words.iter().any(|word| error.details().contains(word))
}

/// What a server says to a user without the rights: to a command, and within a script before and since Redis 7.
fn is_denial(problem: &str) -> bool {
    let words = ["NOPERM", "can't run this command", "can't access at least one of the keys"];
    words.iter().any(|word| problem.contains(word))
}
