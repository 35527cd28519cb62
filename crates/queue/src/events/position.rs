//! Where a reader stands in a stream, and whether anything was trimmed before it was read.

use super::{EventEntry, EventId, StartAt};
use crate::redis::{Redis, RedisError, Reply};

/// Entries that are gone before they were read: the reader was too slow, away too long, or the stream was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last entry that was read, or asked to be resumed from.
    pub after: EventId,
    /// How many are missing. `None` when the server cannot tell: before Redis 7 it may be none at all.
    pub missing: Option<u64>,
}

/// The last entry that was read, and how many had been added up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) last: EventId,
    /// `None` while unknown: before Redis 7 always.
    index: Option<u64>,
}

/// What the server says of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StreamInfo {
    length: u64,
    /// The first entry that is still there.
    first: Option<EventId>,
    /// The last entry that was ever added.
    newest: EventId,
    /// How many were ever added; since Redis 7.
    added: Option<u64>,
}

impl StreamInfo {
    pub(super) async fn read(redis: &Redis, key: &str) -> Result<Self, RedisError> {
        match redis.command("XINFO", vec!["STREAM".into(), key.into()]).await {
            Ok(reply) => Ok(Self::from_fields(reply)),
            Err(RedisError::Command { problem }) if problem.contains("no such key") => {
                Ok(Self { added: Some(0), ..Self::default() })
            }
            Err(error) => Err(error),
        }
    }

    fn from_fields(reply: Reply) -> Self {
        let fields = reply.into_list();
        let field = |name: &str| {
            let at = fields.iter().position(|field| field.text().as_deref() == Some(name))?;
            fields.get(at + 1).cloned()
        };
        let id = |reply: Reply| reply.text()?.parse().ok();
        Self {
            length: field("length").map_or(0, |length| length.count()),
            first: field("first-entry").and_then(|entry| id(entry.into_list().into_iter().next()?)),
            newest: field("last-generated-id").and_then(id).unwrap_or_default(),
            added: field("entries-added").map(|added| added.count()),
        }
    }
}

impl Position {
    pub(super) fn new(start: StartAt, info: &StreamInfo) -> Self {
        match start {
            StartAt::Now => Self { last: info.newest, index: info.added },
            StartAt::Beginning => Self { last: EventId::START, index: info.trimmed() },
            StartAt::After(id) => Self { last: id, index: info.added.filter(|_| id == info.newest) },
        }
    }

    /// Goes on to the end of a page that follows without a gap, as the server has shown by still having `last`.
    pub(super) fn follow(&mut self, page: &[EventEntry]) {
        let Some(last) = page.last() else { return };
        self.index = self.index.map(|index| index + page.len() as u64);
        self.last = last.id;
    }

    /// Goes on to the end of a page when `last` itself is gone: the entries after it may be, too.
    pub(super) fn leap(&mut self, page: &[EventEntry], info: &StreamInfo) -> Option<Gap> {
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return None };
        if info.first.is_some_and(|oldest| oldest < self.last) {
            self.follow(page);
            return None;
        }
        let count = page.len() as u64;
        let first_index = if info.first == Some(first.id) {
            info.trimmed()
        } else {
            info.added.filter(|_| info.newest == last.id).and_then(|added| added.checked_sub(count))
        };
        let was_asked_for_all = self.last == EventId::START && self.index.is_none();
        let gap = match (self.index, first_index) {
            (Some(expected), Some(found)) if found == expected => None,
            (Some(expected), Some(found)) => Some(found.checked_sub(expected)),
            _ if was_asked_for_all => None,
            _ => Some(None),
        };
        let gap = gap.map(|missing| Gap { after: self.last, missing });
        *self = Self { last: last.id, index: first_index.map(|index| index + count) };
        gap
    }

    /// What it means that nothing follows `last`: mostly that nothing happened.
    pub(super) fn rest(&mut self, info: &StreamInfo) -> Option<Gap> {
        if info.newest == self.last {
            self.index = info.added;
        }
        // Ids only grow, unless the stream was removed or the server lost its end.
        (info.newest < self.last).then(|| {
            let gap = Gap { after: self.last, missing: None };
            *self = Self { last: info.newest, index: info.added };
            gap
        })
    }
}

impl StreamInfo {
    /// How many entries are gone from its beginning.
    fn trimmed(&self) -> Option<u64> {
        self.added.map(|added| added.saturating_sub(self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;

    fn id(ms: u64) -> EventId {
        EventId { ms, sequence: 0 }
    }

    fn page(ids: std::ops::Range<u64>) -> Vec<EventEntry> {
        ids.map(|ms| EventEntry { id: id(ms), event: Event::Paused }).collect()
    }

    /// A stream of `added` entries whose ids are their numbers, of which the oldest are gone.
    fn info(oldest: u64, added: u64) -> StreamInfo {
        let first = (oldest <= added).then(|| id(oldest));
        StreamInfo { length: (added + 1).saturating_sub(oldest), first, newest: id(added), added: Some(added) }
    }

    #[test]
    fn what_was_trimmed_before_it_was_read_is_counted() {
        let mut position = Position::new(StartAt::Now, &info(1, 10));
        assert_eq!(position.leap(&page(15..20), &info(15, 19)), Some(Gap { after: id(10), missing: Some(4) }));
        assert_eq!(position.leap(&page(20..25), &info(22, 24)), None, "trimmed only after it was read");
        assert_eq!(position.last, id(24));
    }

    #[test]
    fn trimming_what_was_read_is_no_gap() {
        let mut position = Position::new(StartAt::After(id(10)), &info(1, 10));
        assert_eq!(position.rest(&info(11, 10)), None);
        assert_eq!(position.leap(&page(11..12), &info(11, 11)), None);
        let mut resumed = Position::new(StartAt::After(id(4)), &info(1, 10));
        assert_eq!(resumed.leap(&page(5..8), &info(2, 10)), None, "older entries are there, so none after it went");
    }

    #[test]
    fn a_reader_that_resumes_from_a_trimmed_entry_is_told_of_a_gap() {
        let mut position = Position::new(StartAt::After(id(4)), &info(8, 10));
        assert_eq!(position.leap(&page(8..11), &info(8, 10)), Some(Gap { after: id(4), missing: None }));
        assert_eq!(position.leap(&page(11..12), &info(11, 11)), None, "from here on it is counted");
    }

    #[test]
    fn a_stream_that_was_removed_is_a_gap_and_is_read_from_where_it_is_now() {
        let mut position = Position::new(StartAt::Now, &info(1, 10));
        let gone = StreamInfo { added: Some(0), ..StreamInfo::default() };
        assert_eq!(position.rest(&gone), Some(Gap { after: id(10), missing: None }));
        assert_eq!(position.rest(&gone), None);
        assert_eq!(position.leap(&page(1..3), &info(1, 2)), None);
        let mut position = Position::new(StartAt::Now, &info(1, 10));
        assert_eq!(position.leap(&page(12..13), &info(12, 1)).map(|gap| gap.missing), Some(None));
    }

    #[test]
    fn a_server_that_does_not_count_is_trusted_only_with_what_it_still_has() {
        let uncounted = |oldest, added| StreamInfo { added: None, ..info(oldest, added) };
        let mut position = Position::new(StartAt::Beginning, &uncounted(5, 10));
        assert_eq!(position.leap(&page(5..11), &uncounted(5, 10)), None);
        assert!(position.leap(&page(15..16), &uncounted(15, 15)).is_some());
    }
}
