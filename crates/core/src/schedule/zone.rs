//! Time zones by the names that BullMQ's clock library knows: IANA names, `utc`, `gmt` and fixed offsets such as
//! `UTC+5:30`. The zone of the machine has no name here: slots must not depend on where a worker runs.

use jiff::tz::{Offset, TimeZone};

use super::InvalidSchedule;

pub(super) fn find(name: Option<&str>) -> Result<TimeZone, InvalidSchedule> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(TimeZone::UTC) };
    let lower = name.to_ascii_lowercase();
    if lower == "utc" || lower == "gmt" {
        return Ok(TimeZone::UTC);
    }
    let found = match lower.strip_prefix("utc") {
        Some(offset) => fixed(offset),
        None => TimeZone::get(name).ok(),
    };
    found.ok_or_else(|| InvalidSchedule::Zone { zone: name.to_owned() })
}

/// `+H`, `+HH` or `+H:MM`, with either sign.
fn fixed(offset: &str) -> Option<TimeZone> {
    let (sign, digits) = match offset.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(TimeZone::fixed(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fixed_offsets_are_zones() {
        for name in [None, Some(""), Some("UTC"), Some("gmt")] {
            assert_eq!(find(name), Ok(TimeZone::UTC), "{name:?}");
        }
        assert_eq!(find(Some("UTC+5:30")), Ok(TimeZone::fixed(Offset::from_seconds(19_800).unwrap())));
        assert_eq!(find(Some("utc-3")), Ok(TimeZone::fixed(Offset::from_seconds(-10_800).unwrap())));
        assert!(find(Some("europe/berlin")).is_ok());
        for name in ["local", "UTC+", "UTC5", "Mars/Base", "utc+99"] {
            assert!(find(Some(name)).is_err(), "{name}");
        }
    }
}
