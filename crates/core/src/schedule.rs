//! When a scheduler's next job is due. BullMQ's rules (bullmq-wire section 3.13), so that mixed fleets agree.

use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

/// Why a schedule cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSchedule {
    /// The pattern is not a cron pattern of five or six fields.
    #[error("pattern `{pattern}` is not a cron pattern of 5 fields, or 6 with seconds first: {problem}")]
    Pattern {
        /// The refused pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No time zone of this name exists.
    #[error("tz `{zone}` is not a time zone: use a name such as Europe/Berlin")]
    Zone {
        /// The refused name.
        zone: String,
    },
}

/// The slot that follows `slot_ms` of a scheduler that repeats every `every_ms`. A slot that has passed is skipped to
/// the next one on the grid that `offset_ms` shifts.
#[must_use]
pub fn next_every(slot_ms: u64, every_ms: u64, offset_ms: u64, now_ms: u64) -> u64 {
    let every_ms = every_ms.max(1);
    let next = slot_ms + every_ms;
    if next >= now_ms {
        return next;
    }
    let on_grid = now_ms / every_ms * every_ms + offset_ms;
    if on_grid <= now_ms { on_grid + every_ms } else { on_grid }
}

/// The first time after `after_ms` that `pattern` names in the time zone `zone` (UTC when none is given); `None` when
/// there is none.
///
/// # Errors
/// [`InvalidSchedule`] for a pattern or zone that cannot be read.
pub fn next_cron(pattern: &str, zone: Option<&str>, after_ms: u64) -> Result<Option<u64>, InvalidSchedule> {
    let invalid = |problem: String| InvalidSchedule::Pattern { pattern: pattern.to_owned(), problem };
    let cron = parse(pattern).map_err(|error| invalid(error.to_string()))?;
    let zone = match zone {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| InvalidSchedule::Zone { zone: name.to_owned() })?,
    };
    let after = i64::try_from(after_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let after = after.ok_or_else(|| invalid("the time to start from is out of range".to_owned()))?;
    let next = cron.find_next_occurrence(&after.to_zoned(zone), false).ok();
    Ok(next.and_then(|next| u64::try_from(next.timestamp().as_millisecond()).ok()))
}

fn parse(pattern: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder().year(Year::Disallowed).build().parse(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14T22:13:20Z, a Tuesday.
    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn the_next_slot_keeps_its_distance_and_skips_what_has_passed() {
        assert_eq!(next_every(1000, 600, 400, 1100), 1600);
        assert_eq!(next_every(1000, 600, 598, 10_000), 10_198);
        assert_eq!(next_every(1000, 600, 0, 10_200), 10_800);
    }

    #[test]
    fn patterns_of_five_and_six_fields_are_read() {
        let next = |pattern, zone| next_cron(pattern, zone, NOW).unwrap().map(crate::time::iso);
        assert_eq!(next("*/2 * * * * *", None).unwrap(), "2023-11-14T22:13:22.000Z");
        assert_eq!(next("0 0 * * *", None).unwrap(), "2023-11-15T00:00:00.000Z");
        assert_eq!(next("0 0 * * *", Some("Europe/Berlin")).unwrap(), "2023-11-14T23:00:00.000Z");
        assert_eq!(next("0 12 * * 0", None).unwrap(), "2023-11-19T12:00:00.000Z");
        assert_eq!(next("0 0 30 2 *", None), None, "a date that never comes");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert!(matches!(next_cron("every day", None, NOW), Err(InvalidSchedule::Pattern { .. })));
        assert!(matches!(next_cron("* * * * *", Some("Mars/Base"), NOW), Err(InvalidSchedule::Zone { .. })));
    }
}
