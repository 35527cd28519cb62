//! Where Redis is and how patient to be with it.

use std::time::Duration;

use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig, UnresponsiveConfig,
};
use operator_core::settings::Secret;

use super::RedisError;
use crate::clock::Clock;

/// How to reach Redis. The URL is kept as a secret, because it may hold a password.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `redis://`, `rediss://`, `redis+sentinel://` or `redis-cluster://`, with user, password and database number.
    pub url: Secret,
    /// The first segment of every key (`bull` is BullMQ's).
    pub prefix: String,
    /// How long a first connection is tried before giving up.
    pub connect_timeout: Duration,
    /// How long a command may take, reconnecting included, before its caller gets an error.
    pub command_timeout: Duration,
    /// What the wire's times are taken from.
    pub clock: Clock,
}

impl RedisConfig {
    /// The Redis at `url`, with BullMQ's prefix and ten seconds of patience.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url),
            prefix: "bull".to_owned(),
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(10),
            clock: Clock::system(),
        }
    }

    /// The same Redis under another prefix.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Checks what can be checked without connecting.
    ///
    /// # Errors
    /// [`RedisError::Url`] and [`RedisError::Prefix`].
    pub fn check(&self) -> Result<(), RedisError> {
        self.parse().map(drop)
    }

    pub(super) fn parse(&self) -> Result<Config, RedisError> {
        let url = self.url.expose();
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let schemes = ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis-sentinel", "rediss-sentinel"];
        if !schemes.contains(&scheme) && !scheme.ends_with("-cluster") {
            let problem = "it must start with redis://, rediss://, redis+sentinel:// or redis-cluster://";
            return Err(RedisError::Url { problem: problem.to_owned() });
        }
        let with_host = url::Url::parse(url).map_err(|error| RedisError::Url { problem: error.to_string() })?;
        if with_host.host_str().is_none_or(str::is_empty) {
            return Err(RedisError::Url { problem: "it names no host".to_owned() });
        }
        let database = with_host.path().trim_start_matches('/');
        if !database.is_empty() && database.parse::<u8>().is_err() {
            return Err(RedisError::Url { problem: format!("`{database}` is not a database number from 0 to 255") });
        }
        if self.prefix.is_empty() || self.prefix.contains(char::is_whitespace) {
            return Err(RedisError::Prefix { prefix: self.prefix.clone() });
        }
        Config::from_url(url).map_err(|error| RedisError::Url { problem: error.details().to_owned() })
    }

    /// The address for messages: never the user or the password.
    #[must_use]
    pub fn address(&self) -> String {
        url::Url::parse(self.url.expose()).map_or_else(
            |_| "the address in REDIS_URL".to_owned(),
            |url| format!("{}:{}", url.host_str().unwrap_or("?"), url.port().unwrap_or(6379)),
        )
    }

    pub(super) fn performance(&self) -> PerformanceConfig {
        PerformanceConfig { default_command_timeout: self.command_timeout, ..PerformanceConfig::default() }
    }

    /// A command is sent once: whoever sent it knows whether it may be repeated, the client does not.
    pub(super) fn connection(&self, is_blocking: bool) -> ConnectionConfig {
        let unresponsive = UnresponsiveConfig {
            max_timeout: (!is_blocking).then_some(self.command_timeout),
            interval: Duration::from_secs(2),
        };
        ConnectionConfig {
            connection_timeout: Duration::from_secs(5),
            internal_command_timeout: Duration::from_secs(5),
            max_command_attempts: 1,
            unresponsive,
            reconnect_on_auth_error: true,
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            ..ConnectionConfig::default()
        }
    }
}

/// Reconnects for ever: 50 ms at first, two seconds at most, spread so that a thousand workers do not return at once.
pub(super) fn reconnect_policy() -> ReconnectPolicy {
    let mut policy = ReconnectPolicy::new_exponential(0, 50, 2_000, 2);
    policy.set_jitter(250);
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_named_without_its_password() {
        for url in ["localhost:6379", "http://x", "redis://", "redis://:hunter2@h/abc", "", "redis://h:99999"] {
            let error = RedisConfig::new(url).parse().unwrap_err().to_string();
            assert!(error.contains("REDIS_URL"), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for url in ["redis://localhost", "rediss://user:pw@h:6380/3", "redis://[::1]:7000"] {
            assert!(RedisConfig::new(url).parse().is_ok(), "{url} should be accepted");
        }
    }
}
