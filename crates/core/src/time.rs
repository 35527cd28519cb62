//! Epoch milliseconds as the API shows them.

use jiff::Timestamp;

/// `1700000000000` as `2023-11-14T22:13:20.000Z`; what lies outside the calendar's range becomes its nearest end.
#[must_use]
pub fn iso(epoch_ms: u64) -> String {
    let epoch_ms = i64::try_from(epoch_ms).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(epoch_ms).unwrap_or(Timestamp::MAX);
    format!("{timestamp:.3}")
}

/// The epoch milliseconds of an ISO 8601 time with its offset, such as `2023-11-14T22:13:20.000Z`.
#[must_use]
pub fn parse_iso(text: &str) -> Option<u64> {
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::{iso, parse_iso};

    #[test]
    fn a_time_is_read_as_it_is_written() {
        assert_eq!(parse_iso("2023-11-14T22:13:20.000Z"), Some(1_700_000_000_000));
        assert_eq!(parse_iso("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        assert_eq!(parse_iso("tomorrow"), None);
    }

    #[test]
    fn times_are_iso_8601_in_utc() {
        assert_eq!(iso(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert!(iso(u64::MAX).starts_with("9999-"));
    }
}
