//! When a scheduler makes its jobs: the options that BullMQ calls `repeat`.

use operator_core::JobOptions;
use operator_core::schedule::{InvalidSchedule, check_cron, next_cron};
use operator_core::time::parse_iso;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// When a scheduler makes its jobs, under BullMQ's names in JSON. Either `every` or `pattern` is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Repeat {
    /// Milliseconds between two jobs. The first is due at once, or at `start_date`, or where `offset` puts it.
    #[serde(rename = "every", skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// Shifts the slots of `every` from the multiples of the interval since the epoch, in milliseconds.
    #[serde(rename = "offset", skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<u64>,
    /// A cron pattern of five fields, or six with seconds first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The time zone of the pattern; UTC when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
    /// How many jobs are made at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// No job is due before it. Epoch milliseconds; in JSON also an ISO 8601 time.
    #[serde(rename = "startDate", skip_serializing_if = "Option::is_none", deserialize_with = "date")]
    pub start_ms: Option<u64>,
    /// No job is made after it. Epoch milliseconds; in JSON also an ISO 8601 time.
    #[serde(rename = "endDate", skip_serializing_if = "Option::is_none", deserialize_with = "date")]
    pub end_ms: Option<u64>,
    /// The first job of a pattern is due at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub immediately: bool,
}

impl Repeat {
    /// A job every so many milliseconds, the first at once.
    #[must_use]
    pub fn every(every_ms: u64) -> Self {
        Self { every_ms: Some(every_ms), ..Self::default() }
    }

    /// Jobs at the times of a cron pattern, in UTC.
    #[must_use]
    pub fn cron(pattern: impl Into<String>) -> Self {
        Self { pattern: Some(pattern.into()), ..Self::default() }
    }

    /// The same in a time zone.
    #[must_use]
    pub fn in_zone(mut self, tz: impl Into<String>) -> Self {
        self.tz = Some(tz.into());
        self
    }

    /// Refuses what cannot be followed, or would do nothing.
    pub(super) fn check(&self, now_ms: u64) -> Result<(), InvalidSchedule> {
        match (self.every_ms, &self.pattern) {
            (Some(_), Some(_)) => return Err(InvalidSchedule::BothKinds),
            (None, None) => return Err(InvalidSchedule::NeitherKind),
            (Some(every_ms), None) => check_every(every_ms, self.offset_ms.unwrap_or(0))?,
            (None, Some(pattern)) => check_cron(pattern, self.tz.as_deref(), now_ms)?,
        }
        if self.limit == Some(0) {
            return Err(InvalidSchedule::ZeroLimit);
        }
        self.check_dates(now_ms)
    }

    fn check_dates(&self, now_ms: u64) -> Result<(), InvalidSchedule> {
        if let Some(start_ms) = self.start_ms {
            if self.immediately {
                return Err(InvalidSchedule::ImmediatelyFromLater);
            }
            if start_ms > now_ms.saturating_add(JobOptions::MAX_DELAY_MS) {
                return Err(InvalidSchedule::StartsTooLate { start_ms });
            }
            if let Some(end_ms) = self.end_ms.filter(|end_ms| start_ms > *end_ms) {
                return Err(InvalidSchedule::EndsBeforeStart { start_ms, end_ms });
            }
        }
        match self.end_ms {
            Some(end_ms) if end_ms < now_ms => Err(InvalidSchedule::Ended { end_ms, now_ms }),
            _ => Ok(()),
        }
    }

    /// The pattern's first slot after `after_ms`, or `None` when there is none before the end.
    pub(super) fn cron_slot(&self, after_ms: u64) -> Result<Option<u64>, InvalidSchedule> {
        let Some(pattern) = &self.pattern else { return Ok(None) };
        let after_ms = after_ms.max(self.start_ms.unwrap_or(0));
        let slot = next_cron(pattern, self.tz.as_deref(), after_ms)?;
        Ok(slot.filter(|slot| self.end_ms.is_none_or(|end_ms| *slot <= end_ms)))
    }

    /// The offset where it means something: it shifts intervals, and 0 is none.
    pub(super) fn offset_of_every(&self) -> Option<u64> {
        self.offset_ms.filter(|offset_ms| *offset_ms > 0 && self.every_ms.is_some())
    }

    /// As it stands in the options of the `count`th job.
    pub(super) fn to_wire(&self, count: u64) -> Map<String, Value> {
        let wire = Self { immediately: false, offset_ms: self.offset_of_every(), ..self.clone() };
        let mut fields = match serde_json::to_value(wire) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        fields.insert("count".to_owned(), count.into());
        fields
    }

    /// Reads what stands in a scheduler's hash or in the options of its job; what cannot be read is left out.
    pub(super) fn from_wire(field: impl Fn(&str) -> Option<Value>) -> Self {
        let number = |name| field(name).and_then(|value| whole(&value));
        let text = |name| field(name).and_then(|value| value.as_str().map(str::to_owned));
        Self {
            every_ms: number("every"),
            offset_ms: number("offset"),
            pattern: text("pattern"),
            tz: text("tz"),
            limit: number("limit"),
            start_ms: number("startDate"),
            end_ms: number("endDate"),
            immediately: false,
        }
    }
}

fn check_every(every_ms: u64, offset_ms: u64) -> Result<(), InvalidSchedule> {
    if every_ms == 0 || every_ms > JobOptions::MAX_DELAY_MS {
        return Err(InvalidSchedule::Every { every_ms, max_ms: JobOptions::MAX_DELAY_MS });
    }
    if offset_ms >= every_ms { Err(InvalidSchedule::Offset { offset_ms, every_ms }) } else { Ok(()) }
}

/// A whole number in any form in use on the wire: a number, its text, or for dates an ISO 8601 time.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times and counts; a cast saturates")]
pub(super) fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|number| number as u64)),
        Value::String(text) => text.parse::<f64>().ok().map(|number| number as u64).or_else(|| parse_iso(text)),
        _ => None,
    }
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::Number(number)) if number.is_u64() => Ok(number.as_u64()),
        Some(Value::String(text)) if parse_iso(&text).is_some() => Ok(parse_iso(&text)),
        Some(other) => Err(D::Error::custom(format!(
            "`{other}` is not a date: give epoch milliseconds or a time such as 2030-01-31T09:00:00Z"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn refused(repeat: &str) -> InvalidSchedule {
        serde_json::from_str::<Repeat>(repeat).unwrap().check(NOW).unwrap_err()
    }

    #[test]
    fn schedules_are_read_under_bullmqs_names() {
        let json = r#"{"pattern":"0 * * * *","tz":"Europe/Berlin","limit":3,"startDate":"2023-11-15T00:00:00Z",
            "endDate":1800000000000,"offset":0}"#;
        let repeat: Repeat = serde_json::from_str(json).unwrap();
        assert_eq!((repeat.start_ms, repeat.end_ms), (Some(1_700_006_400_000), Some(1_800_000_000_000)));
        assert_eq!(repeat.check(NOW), Ok(()));
        assert_eq!(
            Value::Object(repeat.to_wire(2)),
            serde_json::json!({"pattern": "0 * * * *", "tz": "Europe/Berlin", "limit": 3,
                "startDate": 1_700_006_400_000_u64, "endDate": 1_800_000_000_000_u64, "count": 2})
        );
        assert!(serde_json::from_str::<Repeat>(r#"{"every":5,"startDate":"soon"}"#).is_err());
        assert!(serde_json::from_str::<Repeat>(r#"{"every":-5}"#).is_err());
    }

    #[test]
    fn a_schedule_that_cannot_be_followed_is_refused_by_name() {
        use InvalidSchedule as I;
        assert_eq!(refused("{}"), I::NeitherKind);
        assert_eq!(refused(r#"{"every":5,"pattern":"* * * * *"}"#), I::BothKinds);
        assert!(matches!(refused(r#"{"every":0}"#), I::Every { .. }));
        assert!(matches!(refused(r#"{"every":9000000000000}"#), I::Every { .. }));
        assert!(matches!(refused(r#"{"every":5,"offset":5}"#), I::Offset { .. }));
        assert!(matches!(refused(r#"{"pattern":"x"}"#), I::Pattern { .. }));
        assert!(matches!(refused(r#"{"pattern":"0 0 31 2,4 *"}"#), I::NeverFires { .. }));
        assert!(matches!(refused(r#"{"pattern":"* * * * *","tz":"Mars/Base"}"#), I::Zone { .. }));
        assert_eq!(refused(r#"{"every":5,"limit":0}"#), I::ZeroLimit);
        assert!(matches!(refused(r#"{"every":5,"endDate":1699999999999}"#), I::Ended { .. }));
        let late = r#"{"every":5,"startDate":1700000000002,"endDate":1700000000001}"#;
        assert!(matches!(refused(late), I::EndsBeforeStart { .. }));
        assert!(matches!(refused(r#"{"every":5,"startDate":9000000000000}"#), I::StartsTooLate { .. }));
        let both = r#"{"pattern":"* * * * *","immediately":true,"startDate":1700000000002}"#;
        assert_eq!(refused(both), I::ImmediatelyFromLater);
    }
}
