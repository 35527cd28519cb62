//! The options of a scheduler's jobs. Each job carries the schedule and how many came before it; whoever claims it makes
//! the next one from them.

use operator_core::schedule::InvalidSchedule;
use serde_json::{Map, Value, json};

use super::repeat::{Repeat, whole};

/// What a scheduler's job needs beside its template; the script adds `jobId` and `delay`, because it decides the slot.
pub(super) struct Iteration {
    pub(super) opts: Map<String, Value>,
    /// The slot that the pattern names; none for intervals, whose slots the script counts.
    pub(super) cron_slot: Option<u64>,
}

/// A job of a scheduler as the start of the next one.
pub(super) struct Predecessor {
    opts: Map<String, Value>,
    repeat_fields: Map<String, Value>,
    repeat: Repeat,
    pub(super) count: u64,
}

/// The first job of a scheduler under `template`, or the one that takes the place of its pending one.
pub(super) fn first(
    template: Map<String, Value>,
    scheduler: &str,
    repeat: &Repeat,
    slot: Option<u64>,
    now: u64,
) -> Map<String, Value> {
    stamp(template, scheduler, repeat.to_wire(1), slot, now)
}

fn stamp(
    mut opts: Map<String, Value>,
    scheduler: &str,
    repeat: Map<String, Value>,
    cron_slot: Option<u64>,
    now: u64,
) -> Map<String, Value> {
    opts.insert("repeat".to_owned(), Value::Object(repeat));
    opts.insert("repeatJobKey".to_owned(), json!(scheduler));
    opts.insert("timestamp".to_owned(), json!(now));
    if let Some(slot) = cron_slot {
        opts.insert("prevMillis".to_owned(), json!(slot));
    }
    opts
}

impl Predecessor {
    /// Reads the options of a scheduler's job; `None` when they have no schedule.
    pub(super) fn of_job(mut opts: Map<String, Value>) -> Option<Self> {
        let Some(Value::Object(repeat_fields)) = opts.remove("repeat") else { return None };
        let repeat = Repeat::from_wire(|name| repeat_fields.get(name).cloned());
        let count = repeat_fields.get("count").and_then(whole).unwrap_or(0);
        Some(Self { opts, repeat_fields, repeat, count })
    }

    /// Stands in for a job that is gone: the scheduler's own template and schedule, and how many jobs it has made.
    pub(super) fn of_template(opts: Map<String, Value>, repeat: Repeat, count: u64) -> Self {
        Self { opts, repeat_fields: repeat.to_wire(count), repeat, count }
    }

    /// The job after this one, whose own slot is `slot`; `None` when the schedule has ended.
    pub(super) fn next(self, scheduler: &str, slot: u64, now: u64) -> Result<Option<Iteration>, InvalidSchedule> {
        let count = self.count + 1;
        if self.repeat.limit.is_some_and(|limit| limit < count) || self.has_ended(now) {
            return Ok(None);
        }
        let previous = self.opts.get("prevMillis").and_then(whole).unwrap_or(slot);
        let cron_slot = self.repeat.cron_slot(now.max(previous))?;
        if cron_slot.is_none() && self.repeat.every_ms.is_none() {
            return Ok(None);
        }
        Ok(Some(self.into_iteration(scheduler, count, cron_slot, now)))
    }

    /// This job once more, in its own `slot`; `None` when the schedule has ended.
    pub(super) fn again(self, scheduler: &str, slot: u64, now: u64) -> Option<Iteration> {
        if self.has_ended(now) {
            return None;
        }
        let cron_slot = self.repeat.pattern.is_some().then_some(slot);
        let count = self.count;
        Some(self.into_iteration(scheduler, count, cron_slot, now))
    }

    fn has_ended(&self, now: u64) -> bool {
        self.repeat.end_ms.is_some_and(|end_ms| now > end_ms)
    }

    /// What the wire's other workers write: the options that they have read, with what reading adds to them.
    fn into_iteration(mut self, scheduler: &str, count: u64, cron_slot: Option<u64>, now: u64) -> Iteration {
        let mut repeat = self.repeat_fields;
        repeat.insert("count".to_owned(), json!(count));
        repeat.remove("immediately");
        if self.repeat.offset_of_every().is_none() {
            repeat.remove("offset");
        }
        for (name, date) in [("startDate", self.repeat.start_ms), ("endDate", self.repeat.end_ms)] {
            if let Some(date) = date {
                repeat.insert(name.to_owned(), json!(date));
            }
        }
        self.opts.entry("attempts").or_insert(json!(0));
        if let Some(delay) = self.opts.get("backoff").filter(|backoff| backoff.is_number()).cloned() {
            self.opts.insert("backoff".to_owned(), json!({ "type": "fixed", "delay": delay }));
        }
        Iteration { opts: stamp(self.opts, scheduler, repeat, cron_slot, now), cron_slot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn predecessor(opts: Value) -> Predecessor {
        Predecessor::of_job(opts.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_next_job_counts_on_and_keeps_what_it_does_not_know() {
        let opts = json!({"repeat": {"every": 1000, "count": 4, "limit": 5, "offset": 7, "mine": 1}, "backoff": 5,
            "x": [], "delay": 3, "jobId": "repeat:s:1"});
        let next = predecessor(opts).next("s", 1, NOW).unwrap().unwrap();
        let expected = json!({"repeat": {"every": 1000, "count": 5, "limit": 5, "offset": 7, "mine": 1}, "x": [],
            "backoff": {"type": "fixed", "delay": 5}, "attempts": 0, "delay": 3, "jobId": "repeat:s:1",
            "repeatJobKey": "s", "timestamp": NOW});
        assert_eq!((Value::Object(next.opts), next.cron_slot), (expected, None));
    }

    #[test]
    fn a_schedule_ends_with_its_limit_and_its_date() {
        let next = |repeat: Value| predecessor(json!({ "repeat": repeat })).next("s", NOW, NOW).unwrap().is_some();
        assert!(next(json!({"every": 5, "limit": 2, "count": 1})));
        assert!(!next(json!({"every": 5, "limit": 2, "count": 2})));
        assert!(next(json!({"every": 5, "endDate": NOW})));
        assert!(!next(json!({"every": 5, "endDate": NOW - 1})));
        assert!(next(json!({"pattern": "0 * * * *", "endDate": NOW + 3_600_000})));
        assert!(!next(json!({"pattern": "0 * * * *", "endDate": NOW + 60_000})), "the next slot is after the end");
        assert!(!next(json!({"count": 2})), "nothing to repeat by");
    }

    #[test]
    fn a_pattern_goes_on_from_the_slot_it_had_even_when_that_lies_ahead() {
        let slot = |opts| predecessor(opts).next("s", 0, NOW).unwrap().unwrap().cron_slot;
        let repeat = json!({"pattern": "0 0 * * *"});
        assert_eq!(slot(json!({ "repeat": repeat })), Some(1_700_006_400_000));
        assert_eq!(slot(json!({ "repeat": repeat, "prevMillis": 1_700_006_400_000_u64 })), Some(1_700_092_800_000));
        let later = json!({"pattern": "0 0 * * *", "startDate": "2030-01-01T00:00:00Z"});
        assert_eq!(slot(json!({ "repeat": later })), Some(1_893_542_400_000));
    }
}
