//! Where Redis is and how patient to be with it.

use std::time::Duration;

use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig, UnresponsiveConfig,
};
use operator_core::settings::{Reader, Secret, vars};

use super::{RedisError, tls, url};
use crate::clock::Clock;

/// How to reach Redis. The URL is kept as a secret, because it may hold a password.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `redis://`, `rediss://`, `redis-sentinel://` or `redis-cluster://`, with user, password and database number.
    pub url: Secret,
    /// Certificates in PEM of authorities that are trusted beside the system's, for `rediss://`.
    pub authorities: Option<String>,
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
            authorities: None,
            prefix: "bull".to_owned(),
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(10),
            clock: Clock::system(),
        }
    }

    /// Reads where Redis is from the settings. What they are worth shows when they are used, or in
    /// [`RedisConfig::note_problems`].
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self::new(reader.text_or(&vars::REDIS_URL, vars::REDIS_URL.default))
            .with_authorities(reader.text(&vars::REDIS_CA))
            .with_prefix(reader.text_or(&vars::OPERATOR_PREFIX, vars::OPERATOR_PREFIX.default))
    }

    /// Leaves in `reader` everything that can be seen to be wrong without connecting.
    pub fn note_problems(&self, reader: &mut Reader<'_>) {
        if let Err(error) = url::parse(self.url.expose()) {
            reader.problem(&vars::REDIS_URL, error.reason());
        }
        if let Some(Err(error)) = self.authorities.as_deref().map(tls::certificates) {
            reader.problem(&vars::REDIS_CA, error.reason());
        }
        if self.check_prefix().is_err() {
            reader.problem(&vars::OPERATOR_PREFIX, format!("`{}` contains white space", self.prefix));
        }
    }

    /// The same Redis under another prefix.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The same Redis, whose certificate may also be signed by one of these authorities, in PEM.
    #[must_use]
    pub fn with_authorities(mut self, pem: Option<String>) -> Self {
        self.authorities = pem;
        self
    }

    /// Checks what can be checked without connecting.
    ///
    /// # Errors
    /// [`RedisError::Url`], [`RedisError::Authority`] and [`RedisError::Prefix`].
    pub fn check(&self) -> Result<(), RedisError> {
        self.parse().map(drop)
    }

    pub(super) fn parse(&self) -> Result<Config, RedisError> {
        self.check_prefix()?;
        let (mut config, is_tls) = url::parse(self.url.expose())?;
        if is_tls {
            config.tls = Some(tls::config(self.authorities.as_deref())?);
        }
        Ok(config)
    }

    fn check_prefix(&self) -> Result<(), RedisError> {
        if self.prefix.is_empty() || self.prefix.contains(char::is_whitespace) {
            return Err(RedisError::Prefix { prefix: self.prefix.clone() });
        }
        Ok(())
    }

    /// The address for messages: never the user or the password.
    #[must_use]
    pub fn address(&self) -> String {
        url::address(self.url.expose()).unwrap_or_else(|| "the address in REDIS_URL".to_owned())
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
