//! The options that bound a job in time: their ranges, and when a job that nobody started is too late.

use serde::{Deserialize, Deserializer};

use super::{InvalidOptions, JobOptions, check_length};
use crate::time::parse_iso;

impl JobOptions {
    /// The most codes of [`JobOptions::not_retried`]: enough for any catalogue of errors, and few to look through.
    pub const MAX_NOT_RETRIED: usize = 64;

    /// The last moment, in epoch milliseconds, at which a job may still be started for the first time. `due_ms` is when
    /// it may run, and `restarted_ms` when it was last put back in line by hand: a time that was over by then does not
    /// count any more.
    #[must_use]
    pub fn expires_ms(&self, due_ms: u64, restarted_ms: Option<u64>) -> Option<u64> {
        let by_ttl = self.ttl_ms.map(|ttl_ms| restarted_ms.unwrap_or(due_ms).saturating_add(ttl_ms));
        let by_time = self.expires_at_ms.filter(|at_ms| restarted_ms.is_none_or(|restarted_ms| restarted_ms < *at_ms));
        by_ttl.into_iter().chain(by_time).min()
    }

    pub(super) fn check_deadlines(&self) -> Result<(), InvalidOptions> {
        let stretches = [
            ("opts.timeoutMs", self.timeout_ms),
            ("opts.ttlMs", self.ttl_ms),
            ("opts.heartbeatTimeoutMs", self.heartbeat_timeout_ms),
        ];
        for (field, given) in stretches {
            if let Some(given) = given.filter(|ms| !(1..=Self::MAX_DELAY_MS).contains(ms)) {
                return Err(InvalidOptions::NoStretch { field, given });
            }
        }
        if let Some(given) = self.expires_at_ms.filter(|at_ms| *at_ms > Self::MAX_TIMESTAMP_MS) {
            return Err(InvalidOptions::ExpiresTooLate { given });
        }
        if self.not_retried.len() > Self::MAX_NOT_RETRIED || self.not_retried.iter().any(String::is_empty) {
            return Err(InvalidOptions::NotRetried);
        }
        self.not_retried.iter().try_for_each(|code| check_length("opts.notRetried", code))
    }
}

/// A time as epoch milliseconds or as ISO 8601.
pub(super) fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Time {
        Ms(u64),
        Iso(String),
    }
    match Option::<Time>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Time::Ms(ms)) => Ok(Some(ms)),
        Some(Time::Iso(text)) => match parse_iso(&text) {
            Some(ms) => Ok(Some(ms)),
            None => Err(serde::de::Error::custom(format!("`{text}` is neither epoch milliseconds nor ISO 8601"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_expires_at_the_earlier_of_its_times() {
        let opts = |ttl_ms, expires_at_ms| JobOptions { ttl_ms, expires_at_ms, ..JobOptions::default() };
        assert_eq!(opts(None, None).expires_ms(100, None), None);
        assert_eq!(opts(Some(10), None).expires_ms(100, None), Some(110));
        assert_eq!(opts(Some(10), Some(105)).expires_ms(100, None), Some(105));
        assert_eq!(opts(None, Some(105)).expires_ms(100, Some(106)), None);
        assert_eq!(opts(Some(10), Some(105)).expires_ms(100, Some(200)), Some(210));
    }

    #[test]
    fn a_time_is_given_in_milliseconds_or_as_iso_8601() {
        let read = |json: &str| serde_json::from_str::<JobOptions>(json).map(|opts| opts.expires_at_ms);
        assert_eq!(read(r#"{"expiresAt":1700000000000}"#).unwrap(), Some(1_700_000_000_000));
        assert_eq!(read(r#"{"expiresAt":"2023-11-14T22:13:20Z"}"#).unwrap(), Some(1_700_000_000_000));
        assert_eq!(read(r#"{"expiresAt":null}"#).unwrap(), None);
        assert!(read(r#"{"expiresAt":"soon"}"#).unwrap_err().to_string().contains("`soon`"));
    }
}
