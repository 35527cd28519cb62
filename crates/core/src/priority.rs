//! Which job goes first.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A priority: 1 goes first, 2 097 151 last. A job that names none (0 on the wire) is served before every one that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "u32")]
pub struct Priority(u32);

/// The named priorities. All are numbers of one or more, so that a named priority never falls into the plain queue.
const NAMES: [(&str, u32); 4] = [("critical", 1), ("high", 10), ("normal", 100), ("low", 1000)];

impl Priority {
    /// No priority: plain first in, first out, before every numbered one.
    pub const NONE: Self = Self(0);
    /// The last one the wire can order: its scores keep 32 bits for the order within a priority.
    pub const MAX: u32 = 2_097_151;

    /// A numbered priority.
    ///
    /// # Errors
    /// When it is above [`Priority::MAX`].
    pub fn new(priority: u32) -> Result<Self, String> {
        if priority > Self::MAX {
            return Err(format!("priority {priority} is above {}, the last one the queue can order", Self::MAX));
        }
        Ok(Self(priority))
    }

    /// The number on the wire.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl From<Priority> for u32 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

impl TryFrom<Value> for Priority {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Some(name) = value.as_str() {
            let named = NAMES.iter().find(|(known, _)| *known == name);
            return named
                .map(|(_, number)| Self(*number))
                .ok_or_else(|| format!("priority `{name}` is not known: use critical, high, normal, low or a number"));
        }
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        Self::new(number.ok_or_else(|| format!("priority must be a whole number from 0 to {}", Self::MAX))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_a_number_or_one_of_four_names() {
        let read = |json| serde_json::from_str::<Priority>(json).map(Priority::get);
        assert_eq!(read("0").unwrap(), 0);
        assert_eq!(read("\"critical\"").unwrap(), 1);
        assert_eq!(read("\"low\"").unwrap(), 1000);
        assert_eq!(read("2097151").unwrap(), 2_097_151);
        for bad in ["2097152", "-1", "1.5", "\"urgent\"", "true"] {
            assert!(read(bad).is_err(), "{bad} should be refused");
        }
    }
}
