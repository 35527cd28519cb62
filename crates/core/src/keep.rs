//! How many finished jobs stay in the queue, and for how long.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// The `removeOnComplete` and `removeOnFail` options: `true`, `false`, a count, or `{age, count, limit}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Keep {
    /// Keep every finished job (`false`).
    All,
    /// Remove the job the moment it finishes (`true`, or a count of 0).
    Nothing,
    /// Keep as many as the limits allow.
    Limited(KeepLimits),
}

/// Limits on kept jobs; both apply when both are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepLimits {
    /// The newest this many are kept.
    pub count: Option<u64>,
    /// Those younger than this many seconds are kept.
    pub age_s: Option<u64>,
    /// At most this many expired ones are removed per finished job (the wire's default is 1000).
    pub limit: Option<u64>,
}

impl TryFrom<Value> for Keep {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Bool(true) => Ok(Self::Nothing),
            Value::Bool(false) => Ok(Self::All),
            Value::Number(number) => match number.as_i64() {
                Some(-1) => Ok(Self::All),
                Some(count) if count >= 0 => Ok(Self::count(count.unsigned_abs())),
                _ => Err("a keep count must be a whole number, 0 or more".into()),
            },
            Value::Object(fields) => Self::from_fields(fields),
            _ => Err("must be true, false, a count, or an object {age, count, limit}".into()),
        }
    }
}

impl Keep {
    /// Keep the newest `count`.
    #[must_use]
    pub fn count(count: u64) -> Self {
        match count {
            0 => Self::Nothing,
            count => Self::Limited(KeepLimits { count: Some(count), ..KeepLimits::default() }),
        }
    }

    fn from_fields(fields: Map<String, Value>) -> Result<Self, String> {
        let mut limits = KeepLimits::default();
        for (key, value) in fields {
            let slot = match key.as_str() {
                "count" => &mut limits.count,
                "age" => &mut limits.age_s,
                "limit" => &mut limits.limit,
                other => return Err(format!("`{other}` is not known: use age (seconds), count and limit")),
            };
            if key == "count" && value.as_i64() == Some(-1) {
                continue;
            }
            *slot = Some(value.as_u64().ok_or_else(|| format!("`{key}` must be a whole number, 0 or more"))?);
        }
        Ok(match limits {
            KeepLimits { count: Some(0), .. } => Self::Nothing,
            KeepLimits { count: None, age_s: None, .. } => Self::All,
            limits => Self::Limited(limits),
        })
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_bool(false),
            Self::Nothing => serializer.serialize_bool(true),
            Self::Limited(KeepLimits { count: Some(count), age_s: None, limit: None }) => {
                serializer.serialize_u64(*count)
            }
            Self::Limited(limits) => {
                let fields = [("count", limits.count), ("age", limits.age_s), ("limit", limits.limit)];
                serializer.collect_map(fields.into_iter().filter_map(|(key, value)| Some((key, value?))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_option_is_read() {
        let read = |json| serde_json::from_str::<Keep>(json);
        assert_eq!(read("true").unwrap(), Keep::Nothing);
        assert_eq!(read("false").unwrap(), Keep::All);
        assert_eq!(read("0").unwrap(), Keep::Nothing);
        assert_eq!(read("7").unwrap(), Keep::count(7));
        let aged = KeepLimits { age_s: Some(60), limit: Some(5), count: None };
        assert_eq!(read(r#"{"age":60,"limit":5}"#).unwrap(), Keep::Limited(aged));
        assert_eq!(read(r#"{"count":0,"age":60}"#).unwrap(), Keep::Nothing);
        for bad in ["-3", "1.5", "\"all\"", r#"{"days":1}"#, r#"{"age":-1}"#] {
            assert!(read(bad).is_err(), "{bad} should be refused");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let aged = KeepLimits { age_s: Some(60), limit: None, count: Some(3) };
        for keep in [Keep::All, Keep::Nothing, Keep::count(3), Keep::Limited(aged)] {
            let json = serde_json::to_string(&keep).unwrap();
            assert_eq!(serde_json::from_str::<Keep>(&json).unwrap(), keep);
        }
    }
}
