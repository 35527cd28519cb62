//! The way from a moment to the next one that a pattern names.
//!
//! It goes by the local clock and lands where BullMQ's parser lands, also where clocks change: an hour that is skipped
//! runs in the hour the clock jumps to, an hour that comes twice runs once, and a pattern for every hour takes each as it
//! comes. What a walk knows of a change it learns by stepping over it, so a walk that begins behind one does not.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::pattern::Pattern;

/// The most steps of a walk: enough for decades of months, and the bound beyond which a pattern never fires.
const MAX_STEPS: usize = 10_000;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The first moment after `after_ms` that `pattern` names in `zone`.
pub(super) fn next(pattern: &Pattern, zone: &TimeZone, after_ms: i64) -> Option<u64> {
    let mut walk = Walk { pattern, zone, at_ms: after_ms, jump: None, repeated_hour: None };
    if after_ms.rem_euclid(SECOND_MS) > 0 {
        walk.at_ms -= after_ms.rem_euclid(SECOND_MS);
        walk.pass(Unit::Second)?;
    }
    for _ in 1..MAX_STEPS {
        if walk.is_there()? {
            if walk.at_ms != after_ms {
                return u64::try_from(walk.at_ms).ok();
            }
            walk.pass(Unit::Second)?;
        }
    }
    None
}

enum Unit {
    Hour,
    Minute,
    Second,
}

/// The clock went forward: the first hour that was skipped, and the one it went to.
#[derive(Clone, Copy)]
struct Jump {
    skipped: i8,
    landing: i8,
}

struct Walk<'a> {
    pattern: &'a Pattern,
    zone: &'a TimeZone,
    at_ms: i64,
    jump: Option<Jump>,
    /// The hour that the clock went back to.
    repeated_hour: Option<i8>,
}

impl Walk<'_> {
    /// Whether the moment is one that the pattern names; takes one step ahead if not.
    fn is_there(&mut self) -> Option<bool> {
        let local = self.local()?;
        if !self.pattern.month.has(local.month()) {
            let next = local.date().checked_add(1.month()).ok()?.first_of_month();
            self.at_ms = self.resolve(next.at(0, 0, 0, 0))?;
        } else if !self.is_day(local) {
            self.seek_next_day(local)?;
        } else if !self.is_hour(local)? {
            // Has taken its step.
        } else if !self.pattern.minute.has(local.minute()) {
            self.seek_minute(local)?;
        } else if !self.pattern.second.has(local.second()) {
            self.seek_second(local)?;
        } else {
            return Some(true);
        }
        Some(false)
    }

    /// With both days given, either is enough.
    fn is_day(&self, local: DateTime) -> bool {
        let pattern = self.pattern;
        let (day, weekday) = (local.day(), local.weekday().to_sunday_zero_offset());
        let days = local.days_in_month();
        let is_day = pattern.day.has(day) || (pattern.last_day && day == days);
        let is_occurrence = pattern.occurrence == 0 || (day + 6) / 7 == pattern.occurrence;
        let is_last = !pattern.last_weekdays.is_empty()
            && day > days - 7
            && (pattern.last_weekdays.contains(&weekday) || pattern.weekday.has(weekday));
        let is_weekday = (pattern.weekday.has(weekday) && is_occurrence) || is_last;
        match (pattern.day.is_any, pattern.weekday.is_any) {
            (_, true) => is_day,
            (true, false) => is_weekday,
            (false, false) => is_day || is_weekday,
        }
    }

    fn is_hour(&mut self, local: DateTime) -> Option<bool> {
        let hours = &self.pattern.hour;
        let hour = local.hour();
        if let Some(jump) = self.jump.filter(|jump| jump.landing == hour) {
            let mut skipped = jump.skipped;
            while skipped != hour {
                if hours.has(skipped) {
                    return Some(true);
                }
                skipped = (skipped + 1) % 24;
            }
        }
        if self.repeated_hour == Some(hour) {
            self.repeated_hour = None;
            self.pass(Unit::Hour)?;
            return Some(false);
        }
        if hours.has(hour) {
            return Some(true);
        }
        self.jump = None;
        match hours.after(hour) {
            None => self.seek_next_day(local)?,
            Some(next) => self.seek_hour(local, next)?,
        }
        Some(false)
    }

    /// On a day on which the clock changes, hour by hour, so that the change is seen.
    fn seek_hour(&mut self, local: DateTime, next: i8) -> Option<()> {
        if self.has_change(local)? {
            for _ in local.hour()..next {
                self.pass(Unit::Hour)?;
                if self.local()?.hour() >= next {
                    break;
                }
            }
        } else {
            self.at_ms = self.resolve(local.with().hour(next).build().ok()?)?;
        }
        self.set_minute(self.pattern.minute.first())?;
        self.set_second(self.pattern.second.first())
    }

    fn seek_minute(&mut self, local: DateTime) -> Option<()> {
        match self.pattern.minute.after(local.minute()) {
            Some(minute) => self.set_minute(minute)?,
            None => {
                self.pass(Unit::Hour)?;
                self.set_minute(self.pattern.minute.first())?;
            }
        }
        self.set_second(self.pattern.second.first())
    }

    fn seek_second(&mut self, local: DateTime) -> Option<()> {
        if let Some(second) = self.pattern.second.after(local.second()) {
            return self.set_second(second);
        }
        self.pass(Unit::Minute)?;
        self.set_second(self.pattern.second.first())
    }

    fn seek_next_day(&mut self, local: DateTime) -> Option<()> {
        // In two steps, because midnight may be what a change skips.
        let same_time = local.checked_add(1.day()).ok()?;
        self.at_ms = self.resolve(same_time)?;
        self.at_ms = self.resolve(self.local()?.date().at(0, 0, 0, 0))?;
        Some(())
    }

    /// Goes on by one unit of real time, to the beginning of the unit reached, and notes a change on the way.
    fn pass(&mut self, unit: Unit) -> Option<()> {
        let (before, offset_ms) = (self.local()?, self.offset_ms()?);
        self.at_ms += match unit {
            Unit::Hour => HOUR_MS,
            Unit::Minute => MINUTE_MS,
            Unit::Second => SECOND_MS,
        };
        let reached = self.local()?;
        let start = match unit {
            Unit::Hour => reached.with().minute(0).second(0).subsec_nanosecond(0).build().ok()?,
            Unit::Minute => reached.with().second(0).subsec_nanosecond(0).build().ok()?,
            Unit::Second => reached,
        };
        if !matches!(unit, Unit::Second) {
            self.at_ms = self.resolve(start)?;
        }
        let now = self.local()?;
        if self.pattern.hour.values.len() == 24 {
            return Some(());
        }
        let hours_passed = (now.hour() - before.hour() + 24) % 24;
        if self.offset_ms()? > offset_ms && hours_passed >= 2 {
            self.jump = Some(Jump { skipped: (before.hour() + 1) % 24, landing: now.hour() });
        } else if hours_passed == 0 && now.minute() == 0 && now.second() == 0 {
            self.repeated_hour = Some(now.hour());
        }
        Some(())
    }

    fn set_minute(&mut self, minute: i8) -> Option<()> {
        self.at_ms = self.resolve(self.local()?.with().minute(minute).build().ok()?)?;
        Some(())
    }

    fn set_second(&mut self, second: i8) -> Option<()> {
        self.at_ms = self.resolve(self.local()?.with().second(second).build().ok()?)?;
        Some(())
    }

    /// Whether the clock changes on this day.
    fn has_change(&self, local: DateTime) -> Option<bool> {
        let first = self.resolve(local.date().at(0, 0, 0, 0))?;
        let last = self.resolve(local.date().at(23, 59, 59, 999_000_000))?;
        Some(self.offset_at(first)? != self.offset_at(last)?)
    }

    fn local(&self) -> Option<DateTime> {
        Some(self.zone.to_datetime(Timestamp::from_millisecond(self.at_ms).ok()?))
    }

    fn offset_ms(&self) -> Option<i64> {
        self.offset_at(self.at_ms)
    }

    fn offset_at(&self, at_ms: i64) -> Option<i64> {
        let offset = self.zone.to_offset(Timestamp::from_millisecond(at_ms).ok()?);
        Some(i64::from(offset.seconds()) * SECOND_MS)
    }

    /// The moment of a local time. One that comes twice is the one on this side of the change; one that is skipped is
    /// as far behind the change as it would have been behind its beginning.
    fn resolve(&self, local: DateTime) -> Option<i64> {
        let since = local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        let local_ms = i64::try_from(since.as_millis()).ok()?;
        let assumed = self.offset_ms()?;
        let found = self.offset_at(local_ms - assumed)?;
        if found == assumed {
            return Some(local_ms - assumed);
        }
        let confirmed = self.offset_at(local_ms - found)?;
        Some(local_ms - found.min(confirmed))
    }
}
