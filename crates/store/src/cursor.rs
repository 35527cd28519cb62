//! Where a page of records ended, as text that callers pass around without looking inside.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// The place after a record. It stays valid when that record is removed or newer ones arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The three columns that pages are sorted by, as they are stored.
    pub(crate) finished_on: i64,
    pub(crate) queue: String,
    pub(crate) id: String,
}

/// A text that is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the cursor is not one that a page of records gave out: begin again without a cursor")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = serde_json::json!([self.finished_on, self.queue, self.id]).to_string();
        f.write_str(&URL_SAFE_NO_PAD.encode(fields))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let fields = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (finished_on, queue, id): (i64, String, String) =
            serde_json::from_slice(&fields).map_err(|_| InvalidCursor)?;
        // No stored text has a NUL, and PostgreSQL would refuse the whole statement.
        if queue.contains('\0') || id.contains('\0') {
            return Err(InvalidCursor);
        }
        Ok(Self { finished_on, queue, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_text() {
        let cursor = Cursor { finished_on: 1_700_000_000_000, queue: "a\"b".into(), id: "ü/🦀?".into() };
        let text = cursor.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(text.parse(), Ok(cursor));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "x", "!!", "W10", "WzEsImEiLCJcdTAwMDAiXQ"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
