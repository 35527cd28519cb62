//! When a scheduler's cron pattern is due, in the dialect and by the clock changes of BullMQ's parser (cron-parser 5), so
//! that mixed fleets agree on every slot. The slots of `every` are the scripts' business: they depend on what is stored.

mod pattern;
mod walk;
mod zone;

use thiserror::Error;

use crate::ids::{InvalidId, check_text};
use pattern::Pattern;

/// Why a schedule cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSchedule {
    /// The pattern is not a cron pattern of five or six fields.
    #[error("pattern `{pattern}` is not a cron pattern of 5 fields, or 6 with seconds first: {problem}")]
    Pattern {
        /// The refused pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The pattern names dates that do not come.
    #[error("pattern `{pattern}` never fires: no year has the dates it names; check its days and months")]
    NeverFires {
        /// The refused pattern.
        pattern: String,
    },
    /// No time zone of this name exists.
    #[error("tz `{zone}` is not a time zone: use a name such as Europe/Berlin")]
    Zone {
        /// The refused name.
        zone: String,
    },
    /// A scheduler repeats at an interval or by a pattern.
    #[error("repeat has both every and pattern: keep the one you mean")]
    BothKinds,
    /// There is nothing to repeat by.
    #[error("repeat has neither every nor pattern: give milliseconds or a cron pattern")]
    NeitherKind,
    /// The interval is outside what can be kept.
    #[error("repeat.every is {every_ms}: give 1 to {max_ms} milliseconds (100 years)")]
    Every {
        /// The refused interval.
        every_ms: u64,
        /// The longest one.
        max_ms: u64,
    },
    /// An offset shifts slots within their interval.
    #[error("repeat.offset is {offset_ms} and repeat.every {every_ms}: give an offset below the interval")]
    Offset {
        /// The refused offset.
        offset_ms: u64,
        /// The interval.
        every_ms: u64,
    },
    /// A scheduler that may not run once does nothing.
    #[error("repeat.limit is 0: give at least 1, or leave it out")]
    ZeroLimit,
    /// The end lies before the start.
    #[error("repeat.startDate is {start_ms} and repeat.endDate {end_ms}: the start must come first")]
    EndsBeforeStart {
        /// The start, epoch milliseconds.
        start_ms: u64,
        /// The end, epoch milliseconds.
        end_ms: u64,
    },
    /// The end has passed.
    #[error("repeat.endDate is {end_ms}, which has passed: give a time after {now_ms}, or leave it out")]
    Ended {
        /// The end, epoch milliseconds.
        end_ms: u64,
        /// The clock.
        now_ms: u64,
    },
    /// The start is further away than delays can be kept in order.
    #[error("repeat.startDate is {start_ms}: give a time within 100 years")]
    StartsTooLate {
        /// The start, epoch milliseconds.
        start_ms: u64,
    },
    /// At once and not before a date exclude each other.
    #[error("repeat has both immediately and startDate: keep the one you mean")]
    ImmediatelyFromLater,
    /// An id is needed to find the scheduler again.
    #[error("the scheduler id is empty: give it at least one character")]
    EmptyId,
    /// The id cannot be the name of anything.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The jobs of scheduler `a` are called `repeat:a:<milliseconds>`, and scheduler `b` is kept as `repeat:b`.
    #[error("scheduler id `{id}` ends in a colon and a number, as the jobs of schedulers do: use another ending")]
    SlotId {
        /// The refused id.
        id: String,
    },
    /// Readers of BullMQ 6 take such an id for a repeatable job of BullMQ 5 and give up.
    #[error(
        "scheduler id `{id}` has the form of BullMQ 5's repeatable jobs (five segments that end in a number or \
         contain a space), which stops BullMQ 6: use fewer colons"
    )]
    LegacyId {
        /// The refused id.
        id: String,
    },
    /// Every job of a scheduler has its own id, delay and no parent, and none may be merged with another.
    #[error("template.opts.{option} cannot be set: {problem}")]
    TemplateOption {
        /// The refused option.
        option: &'static str,
        /// Why, and what to do.
        problem: &'static str,
    },
}

impl InvalidSchedule {
    /// What is at fault, as its path from the scheduler.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Pattern { .. } | Self::NeverFires { .. } => "repeat.pattern",
            Self::Zone { .. } => "repeat.tz",
            Self::BothKinds | Self::NeitherKind => "repeat",
            Self::Every { .. } => "repeat.every",
            Self::Offset { .. } => "repeat.offset",
            Self::ZeroLimit => "repeat.limit",
            Self::Ended { .. } => "repeat.endDate",
            Self::EndsBeforeStart { .. } | Self::StartsTooLate { .. } => "repeat.startDate",
            Self::ImmediatelyFromLater => "repeat.immediately",
            Self::EmptyId | Self::Id(_) | Self::SlotId { .. } | Self::LegacyId { .. } => "id",
            Self::TemplateOption { .. } => "template.opts",
        }
    }
}

/// The first time after `after_ms` that `pattern` names in the time zone `zone` (UTC when none is given); `None` when
/// there is none within the search's bound.
///
/// Patterns of fewer than five fields are read as BullMQ reads them, with `*` for those that are missing in front:
/// [`check_cron`] refuses them where a schedule is made.
///
/// # Errors
/// [`InvalidSchedule`] for a pattern or zone that cannot be read.
pub fn next_cron(pattern: &str, zone: Option<&str>, after_ms: u64) -> Result<Option<u64>, InvalidSchedule> {
    let parsed = Pattern::parse(pattern)
        .map_err(|problem| InvalidSchedule::Pattern { pattern: pattern.to_owned(), problem: problem.to_string() })?;
    let zone = zone::find(zone)?;
    Ok(i64::try_from(after_ms).ok().and_then(|after_ms| walk::next(&parsed, &zone, after_ms)))
}

/// Refuses a pattern that nobody should start a schedule with: one that cannot be read, has fewer than five fields, or
/// does not fire after `now_ms`.
///
/// # Errors
/// [`InvalidSchedule`], which names what is wrong.
pub fn check_cron(pattern: &str, zone: Option<&str>, now_ms: u64) -> Result<(), InvalidSchedule> {
    let fields = pattern.split_whitespace().count();
    if !pattern.starts_with('@') && fields < 5 {
        let problem = format!("it has {fields} fields");
        return Err(InvalidSchedule::Pattern { pattern: pattern.to_owned(), problem });
    }
    match next_cron(pattern, zone, now_ms)? {
        Some(_) => Ok(()),
        None => Err(InvalidSchedule::NeverFires { pattern: pattern.to_owned() }),
    }
}

/// Refuses an id that a scheduler cannot have.
///
/// # Errors
/// [`InvalidSchedule`], which says why.
pub fn check_scheduler_id(id: &str) -> Result<(), InvalidSchedule> {
    if id.is_empty() {
        return Err(InvalidSchedule::EmptyId);
    }
    check_text("scheduler id", id)?;
    if is_legacy_id(id) {
        return Err(InvalidSchedule::LegacyId { id: id.to_owned() });
    }
    let is_slot = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    if id.rsplit_once(':').is_some_and(|(_, end)| is_slot(end)) {
        return Err(InvalidSchedule::SlotId { id: id.to_owned() });
    }
    Ok(())
}

/// Whether `id` has the form of a BullMQ 5 repeatable job's key: `name:id:endDate:tz:pattern-or-interval`.
#[must_use]
pub fn is_legacy_id(id: &str) -> bool {
    let mut segments = id.splitn(5, ':');
    let (Some(end_date), Some(_zone), Some(rest)) = (segments.nth(2), segments.next(), segments.next()) else {
        return false;
    };
    let is_numeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    is_numeric(end_date) && !rest.is_empty() && (rest.contains(' ') || is_numeric(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14T22:13:20Z, a Tuesday.
    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn patterns_of_five_and_six_fields_are_read() {
        let next = |pattern, zone| next_cron(pattern, zone, NOW).unwrap().map(crate::time::iso);
        assert_eq!(next("*/2 * * * * *", None).unwrap(), "2023-11-14T22:13:22.000Z");
        assert_eq!(next("0 0 * * *", None).unwrap(), "2023-11-15T00:00:00.000Z");
        assert_eq!(next("0 0 * * *", Some("Europe/Berlin")).unwrap(), "2023-11-14T23:00:00.000Z");
        assert_eq!(next("0 12 * * 0", None).unwrap(), "2023-11-19T12:00:00.000Z");
        assert_eq!(next("@weekdays", None).unwrap(), "2023-11-15T00:00:00.000Z");
        assert_eq!(next("0 0 31 2,4 *", None), None, "dates that never come");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for pattern in ["every day", "", "* * * *", "60 * * * *", "0 0 31 2 *", "1-5,3 * * * *", "@reboot"] {
            let refused = check_cron(pattern, None, NOW);
            assert!(matches!(refused, Err(InvalidSchedule::Pattern { .. })), "{pattern}: {refused:?}");
        }
        let refused = check_cron("0 0 31 2,4 *", None, NOW);
        assert!(matches!(refused, Err(InvalidSchedule::NeverFires { .. })), "{refused:?}");
        assert!(matches!(next_cron("* * * * *", Some("Mars/Base"), NOW), Err(InvalidSchedule::Zone { .. })));
    }

    #[test]
    fn ids_of_the_old_form_are_known() {
        for id in ["a:b:::5000", "a:b:17:UTC:0 * * * *", "a::::60", "a:b:::x:y z"] {
            assert!(is_legacy_id(id), "{id}");
        }
        for id in ["a", "a:b:c:d:5", "a:b:::", "a:b:::x", "a:b:1:2", "tenant:1:2:3:x4"] {
            assert!(!is_legacy_id(id), "{id}");
        }
    }

    #[test]
    fn a_schedulers_id_is_not_taken_for_a_job_of_another() {
        assert_eq!(check_scheduler_id("nightly:eu"), Ok(()));
        assert_eq!(check_scheduler_id("7"), Ok(()));
        assert_eq!(check_scheduler_id(""), Err(InvalidSchedule::EmptyId));
        let slot = check_scheduler_id("nightly:1700000000000");
        assert_eq!(slot, Err(InvalidSchedule::SlotId { id: "nightly:1700000000000".to_owned() }));
        for bad in ["a\nb".to_owned(), "x".repeat(1025)] {
            assert!(matches!(check_scheduler_id(&bad), Err(InvalidSchedule::Id(_))), "{bad}");
        }
    }
}
