//! What a Redis server answers (RESP2), and accessors that panic with the answer when it is of another kind.

use std::collections::BTreeMap;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: the null bulk string or the null array.
    Nil,
    /// `:1`
    Int(i64),
    /// A bulk string, which may hold any bytes.
    Text(Vec<u8>),
    /// `+OK`
    Status(String),
    /// An array.
    List(Vec<Reply>),
    /// `-ERR ...`, without the dash.
    Error(String),
}

/// Every accessor panics when the answer is of another kind; the message shows the answer.
impl Reply {
    /// Whether there was nothing.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        *self == Self::Nil
    }

    /// The error's text, when it is one.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(message) => Some(message),
            _ => None,
        }
    }

    /// The answer itself, unless it is an error.
    pub fn ok(self) -> Self {
        match self {
            Self::Error(message) => panic!("redis answered with an error: {message}"),
            other => other,
        }
    }

    /// A number; a text that is one counts too.
    #[must_use]
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            Self::Text(_) => self.text().parse().unwrap_or_else(|_| self.is_not("a number")),
            _ => self.is_not("a number"),
        }
    }

    /// A text's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Status(text) => text.as_bytes(),
            _ => self.is_not("a text"),
        }
    }

    /// A text. Bytes that are not UTF-8 are shown escaped.
    #[must_use]
    pub fn text(&self) -> String {
        readable(self.bytes())
    }

    /// A text, or nothing.
    #[must_use]
    pub fn optional_text(&self) -> Option<String> {
        (!self.is_nil()).then(|| self.text())
    }

    /// The elements of a list.
    #[must_use]
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => self.is_not("a list"),
        }
    }

    /// A list of texts.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.list().iter().map(Self::text).collect()
    }

    /// A list of names and values in turn, as `HGETALL` and `CONFIG GET` answer.
    #[must_use]
    pub fn map(&self) -> BTreeMap<String, String> {
        self.list().chunks_exact(2).map(|pair| (pair[0].text(), pair[1].text())).collect()
    }

    fn is_not(&self, kind: &str) -> ! {
        panic!("expected {kind} from redis, got {self:?}")
    }
}

fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}
