//! The limits of the pack that an operator may set.

use std::time::Duration;

use operator_core::settings::{Reader, vars};

/// The limits of the `system` pack. The defaults are those of the environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemSettings {
    /// How much of a response body `system.http` keeps: 64 KiB.
    pub http_max_body_bytes: usize,
    /// How long `system.http` waits for a connection, name look-up and TLS included: 5 seconds.
    pub http_connect_timeout: Duration,
    /// How long one `system.http` attempt may take in all, redirects and body included: 30 seconds.
    pub http_timeout: Duration,
}

impl Default for SystemSettings {
    fn default() -> Self {
        Self {
            http_max_body_bytes: 65_536,
            http_connect_timeout: Duration::from_secs(5),
            http_timeout: Duration::from_secs(30),
        }
    }
}

impl SystemSettings {
    /// Reads `OPERATOR_HTTP_MAX_BODY_BYTES`, `OPERATOR_HTTP_CONNECT_TIMEOUT_MS` and `OPERATOR_HTTP_TIMEOUT_MS`; what
    /// is wrong with them the reader reports.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            http_max_body_bytes: reader.number(&vars::OPERATOR_HTTP_MAX_BODY_BYTES, 65_536, 0..=16_777_216),
            http_connect_timeout: Duration::from_millis(reader.number(
                &vars::OPERATOR_HTTP_CONNECT_TIMEOUT_MS,
                5_000,
                1..=600_000,
            )),
            http_timeout: Duration::from_millis(reader.number(&vars::OPERATOR_HTTP_TIMEOUT_MS, 30_000, 1..=3_600_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn defaults_are_what_the_reference_says() {
        let nothing = HashMap::new();
        let mut reader = Reader::new(&nothing);
        assert_eq!(SystemSettings::read(&mut reader), SystemSettings::default());
        assert_eq!(vars::OPERATOR_HTTP_MAX_BODY_BYTES.default, "65536");
        assert_eq!(vars::OPERATOR_HTTP_CONNECT_TIMEOUT_MS.default, "5000");
        assert_eq!(vars::OPERATOR_HTTP_TIMEOUT_MS.default, "30000");
    }

    #[test]
    fn limits_outside_their_range_are_reported() {
        let source = HashMap::from([("OPERATOR_HTTP_TIMEOUT_MS", "0"), ("OPERATOR_HTTP_MAX_BODY_BYTES", "1e9")]);
        let mut reader = Reader::new(&source);
        SystemSettings::read(&mut reader);
        assert_eq!(reader.finish().unwrap_err().problems.len(), 2);
    }
}
