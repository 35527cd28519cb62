//! Where a page ended, as text that clients hand back without looking inside.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use operator_core::{JobState, QueueName};
use operator_store::Cursor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const REFUSED: &str = "it is not one that a page gave out: begin again without it";

/// A place in one list of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offset(pub(crate) u64);

/// A place among all jobs: first those in the queues, then those of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In the list of `state` in `queue`, at this position.
    #[serde(rename = "q")]
    Live {
        /// The queue.
        queue: QueueName,
        /// The list.
        state: JobState,
        /// The position.
        first: u64,
    },
    /// In the history, after the record the store's cursor stands for; at its beginning without one.
    #[serde(rename = "h")]
    Stored(Option<String>),
}

impl Place {
    /// The store's own cursor.
    pub(crate) fn stored(after: &Option<String>) -> Result<Option<Cursor>, String> {
        after.as_ref().map(|text| text.parse().map_err(|_| REFUSED.to_owned())).transpose()
    }
}

/// Positions beyond this are in no list that a server can hold; arithmetic on them would overflow.
const MAX_POSITION: u64 = 1 << 40;

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(self))
    }
}

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        decode::<Self>(text).filter(|offset| offset.0 <= MAX_POSITION).ok_or_else(|| REFUSED.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(self))
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = decode::<Self>(text).ok_or_else(|| REFUSED.to_owned())?;
        match &place {
            Self::Live { first, .. } if *first > MAX_POSITION => Err(REFUSED.to_owned()),
            Self::Stored(after) => Self::stored(after).map(|_| place),
            Self::Live { .. } => Ok(place),
        }
    }
}

fn encode(place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).expect("names and numbers can be JSON"))
}

fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_being_text() {
        let queue = QueueName::new("mail é").unwrap();
        for place in [
            Place::Live { queue, state: JobState::WaitingChildren, first: 7 },
            Place::Stored(None),
            Place::Stored(Some("WzEsImEiLCJiIl0".to_owned())),
        ] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        assert_eq!(Offset(50).to_string().parse(), Ok(Offset(50)));
    }

    #[test]
    fn other_text_is_refused() {
        let far = encode(&Offset(u64::MAX));
        let other = encode(&Place::Stored(Some("nonsense".to_owned())));
        for text in ["", "x", "!!", "bnVsbA", far.as_str(), other.as_str()] {
            assert!(text.parse::<Offset>().is_err(), "{text}");
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
