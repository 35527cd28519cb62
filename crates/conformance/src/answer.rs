//! What a subject answers to an operation, in the form both share.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer. `docs/conformance.md` says what each operation answers when it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It was done, and this came of it.
    Done(Value),
    /// A script refused with one of the wire's codes.
    Refused(i64),
    /// The client refused before it wrote anything; the words are its own.
    Invalid(String),
    /// Redis or the subject failed; the words are its own.
    Broken(String),
}

impl Answer {
    /// What came of it, when it was done.
    #[must_use]
    pub fn done(&self) -> Option<&Value> {
        match self {
            Self::Done(value) => Some(value),
            _ => None,
        }
    }

    /// Whether both say the same: words are not compared.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Invalid(_), Self::Invalid(_)) | (Self::Broken(_), Self::Broken(_)) => true,
            _ => self == other,
        }
    }
}
