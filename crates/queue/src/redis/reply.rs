//! What Redis answers, and what it is asked with, without the client's own types.

use bytes::Bytes;
use fred::types::Value;

use super::RedisError;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply(Value);

impl Reply {
    pub(super) fn new(value: Value) -> Self {
        Self(value)
    }

    /// The answer as text, with what is not UTF-8 replaced. `None` for nil and lists.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.0 {
            Value::String(text) => Some(str::to_owned(text)),
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Double(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// As [`Reply::text`].
    pub(crate) fn into_text(self) -> Option<String> {
        self.text()
    }

    /// The answer's bytes. `None` for nil, numbers and lists.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match &self.0 {
            Value::String(text) => Some(text.inner().clone()),
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// The answer as a number. `None` when it is not one.
    pub(crate) fn int(&self) -> Option<i64> {
        match &self.0 {
            Value::Integer(number) => Some(*number),
            Value::Boolean(flag) => Some(i64::from(*flag)),
            #[expect(clippy::cast_possible_truncation, reason = "scores and counts are whole")]
            Value::Double(number) => Some(*number as i64),
            _ => self.text()?.parse().ok(),
        }
    }

    /// The answer as a number that is not negative, 0 for none.
    pub(crate) fn count(&self) -> u64 {
        self.int().and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    }

    /// The elements of a list; a nil is an empty one.
    pub(crate) fn into_list(self) -> Vec<Self> {
        match self.0 {
            Value::Array(values) => values.into_iter().map(Self).collect(),
            Value::Map(map) => {
                map.inner().into_iter().flat_map(|(key, value)| [Self(Value::from(key)), Self(value)]).collect()
            }
            Value::Null => Vec::new(),
            value => vec![Self(value)],
        }
    }

    /// The elements of a list as text.
    pub(crate) fn into_texts(self) -> Vec<String> {
        self.into_list().iter().filter_map(Self::text).collect()
    }

    /// The number, or an error that says which answer was not one.
    pub(crate) fn expect_int(&self, what: &'static str) -> Result<i64, RedisError> {
        self.int().ok_or(RedisError::Answer { what })
    }
}

/// One argument.
#[derive(Debug, Clone)]
pub(crate) struct Arg(pub(super) Value);

impl Arg {
    /// The argument as text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.0 {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self(Value::from(text))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self(Value::from(text))
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self(Value::from(text.as_str()))
    }
}

impl From<Vec<u8>> for Arg {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Value::Bytes(bytes.into()))
    }
}

impl From<Bytes> for Arg {
    fn from(bytes: Bytes) -> Self {
        Self(Value::Bytes(bytes))
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        // Times, counts and limits: all far below the largest signed number.
        Self(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self(Value::Integer(number))
    }
}
