//! The id of an entry: when the server wrote it, and its place within that millisecond.

use std::fmt;
use std::str::FromStr;

/// The id of an entry of an events stream. Later entries have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId {
    /// When it was written, epoch ms by the server's clock.
    pub ms: u64,
    /// Its place within that millisecond.
    pub sequence: u64,
}

impl EventId {
    /// Before every entry.
    pub const START: Self = Self { ms: 0, sequence: 0 };
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ms, sequence) = text.split_once('-').unwrap_or((text, "0"));
        match (ms.parse(), sequence.parse()) {
            (Ok(ms), Ok(sequence)) => Ok(Self { ms, sequence }),
            _ => Err(format!("event id `{text}` is not one: use the id of an entry, such as 1700000000000-0")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_by_time_and_then_by_place() {
        let id = |text: &str| text.parse::<EventId>().unwrap();
        assert!(id("9-0") < id("10-0") && id("10-9") < id("10-10"));
        assert_eq!(id("17").to_string(), "17-0");
        for broken in ["", "$", "a-1", "1-", "1-2-3", "-1"] {
            assert!(broken.parse::<EventId>().is_err(), "{broken:?}");
        }
    }
}
