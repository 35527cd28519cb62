//! How a job wants to be run: the options a caller may give, in their public form.

mod deadlines;

use serde::{Deserialize, Serialize};

use thiserror::Error;

use crate::backoff::BackoffKind;
use crate::ids::MAX_BYTES;
use crate::{Backoff, JobId, Keep, Priority};

/// The options of a job under the names BullMQ's users know, camelCase in JSON.
///
/// The wire stores some of them under shorter names; the queue crate translates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JobOptions {
    /// The id of the job; generated when absent. An id that is still in the queue is not added again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// How many times the job may be tried; 0 and 1 both mean once.
    pub attempts: u32,
    /// The wait between attempts; none means at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Milliseconds before the job may run.
    #[serde(rename = "delay", skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// Which job goes first.
    #[serde(skip_serializing_if = "is_none_priority")]
    pub priority: Priority,
    /// Put the job at the front of its queue instead of the back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lifo: bool,
    /// What is kept of it once completed; absent leaves it to the worker, which keeps all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_complete: Option<Keep>,
    /// What is kept of it once failed; absent leaves it to the worker, which keeps all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_fail: Option<Keep>,
    /// The newest this many log lines are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_logs: Option<u32>,
    /// Refuse the job when its data is larger than this many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<u64>,
    /// At most this many stack traces are stored, the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_trace_limit: Option<u32>,
    /// Creation time in epoch milliseconds; now when absent.
    #[serde(rename = "timestamp", skip_serializing_if = "Option::is_none")]
    pub timestamp_ms: Option<u64>,
    /// The job that waits for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentRef>,
    /// When this job fails for good, its parent fails, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fail_parent_on_failure: bool,
    /// When this job fails for good, its parent starts at once, whatever its other children do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continue_parent_on_failure: bool,
    /// When this job fails for good, its parent stops waiting for it and can read why it failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_dependency_on_failure: bool,
    /// When this job fails for good, its parent stops waiting for it and never hears of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub remove_dependency_on_failure: bool,
    /// Makes this job one of many that stand for the same thing, of which one is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplication: Option<Deduplication>,
    /// How many milliseconds an attempt may run; absent leaves it to the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// A job that was not started this many milliseconds after it was due fails as expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// A job that was not started by this time fails as expired: epoch milliseconds, or ISO 8601.
    #[serde(rename = "expiresAt", deserialize_with = "deadlines::read_time", skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// An attempt that gives no sign of life for this many milliseconds fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// The codes of failures that no attempt follows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_retried: Vec<String>,
}

/// The parent of a job that is added by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentRef {
    /// Its id.
    pub id: JobId,
    /// Where it is: `<prefix>:<queue>`, as BullMQ writes it.
    pub queue: String,
}

/// Jobs of one deduplication id: while one is there, others are not added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deduplication {
    /// What makes jobs the same.
    pub id: String,
    /// For how many milliseconds the id holds; without it, until the job finishes.
    #[serde(rename = "ttl", default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Every job that is not added starts the time to live anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extend: bool,
    /// A new job takes the place of one that is still delayed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// The last job that came while one was running is added when that has finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_last_if_active: bool,
    /// A new job gives its delay to one that is still delayed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reschedule: bool,
}

/// Why options cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidOptions {
    /// A child can do one thing to its parent.
    #[error(
        "opts: only one of failParentOnFailure, continueParentOnFailure, ignoreDependencyOnFailure and \
         removeDependencyOnFailure may be set: keep the one you mean"
    )]
    SeveralPolicies,
    /// What stands for others must have a name.
    #[error("opts.deduplication.id is empty: give what makes jobs the same")]
    EmptyDeduplicationId,
    /// A job of a flow cannot vanish into another one.
    #[error(
        "opts.deduplication cannot be combined with opts.parent: the parent would wait for a job that is not added"
    )]
    DeduplicatedChild,
    /// A flow's parent cannot vanish into another job.
    #[error("opts.deduplication cannot be set on a job with children: they would wait for a parent that is not added")]
    DeduplicatedParent,
    /// A job that waits for itself waits for ever.
    #[error("opts.parent: a job cannot wait for itself, nor for a job that waits for it: give it another jobId")]
    OwnParent,
    /// A time to live of zero is none.
    #[error("opts.deduplication.ttl is 0: give milliseconds, or leave it out")]
    ZeroTtl,
    /// A time to live longer than any delay.
    #[error(
        "opts.deduplication.ttl is {ttl_ms}: give at most {} milliseconds (100 years), or leave it out to hold the id \
         until the job finishes",
        JobOptions::MAX_DELAY_MS
    )]
    TtlTooLong {
        /// The refused time to live.
        ttl_ms: u64,
    },
    /// A creation time from which no delay would end.
    #[error(
        "opts.timestamp is {timestamp_ms}: give epoch milliseconds up to {} (the year 2100)",
        JobOptions::MAX_TIMESTAMP_MS
    )]
    TimestampTooLate {
        /// The refused time.
        timestamp_ms: u64,
    },
    /// A name that is no name but data.
    #[error("{field} has {bytes} bytes and at most {MAX_BYTES} are allowed: shorten it")]
    TooLong {
        /// The option.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A delay beyond what the delayed set can order.
    #[error(
        "opts.delay is {delay_ms}: at most {} milliseconds (100 years) can be kept in order",
        JobOptions::MAX_DELAY_MS
    )]
    DelayTooLong {
        /// The refused delay.
        delay_ms: u64,
    },
    /// A stretch of time that ends before it begins, or never.
    #[error("{field} is {given}: give 1 to {} milliseconds (100 years), or leave it out", JobOptions::MAX_DELAY_MS)]
    NoStretch {
        /// The option.
        field: &'static str,
        /// What was given.
        given: u64,
    },
    /// A time after all others.
    #[error(
        "opts.expiresAt is {given}: give epoch milliseconds up to {} (the year 2100), or ISO 8601",
        JobOptions::MAX_TIMESTAMP_MS
    )]
    ExpiresTooLate {
        /// The refused time.
        given: u64,
    },
    /// Codes that name nothing, or too many.
    #[error("opts.notRetried: give up to {} codes, none of them empty", JobOptions::MAX_NOT_RETRIED)]
    NotRetried,
}

impl InvalidOptions {
    /// The option at fault, as its path from the job.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::SeveralPolicies => "opts",
            Self::EmptyDeduplicationId => "opts.deduplication.id",
            Self::DeduplicatedChild | Self::DeduplicatedParent => "opts.deduplication",
            Self::OwnParent => "opts.parent",
            Self::ZeroTtl | Self::TtlTooLong { .. } => "opts.deduplication.ttl",
            Self::TimestampTooLate { .. } => "opts.timestamp",
            Self::TooLong { field, .. } | Self::NoStretch { field, .. } => field,
            Self::DelayTooLong { .. } => "opts.delay",
            Self::ExpiresTooLate { .. } => "opts.expiresAt",
            Self::NotRetried => "opts.notRetried",
        }
    }
}

impl JobOptions {
    /// The longest delay, a hundred years: scores of the delayed set lose their order far beyond it.
    pub const MAX_DELAY_MS: u64 = 3_155_760_000_000;

    /// The latest creation time, the beginning of the year 2100: a delay counts from it and must come due some day.
    pub const MAX_TIMESTAMP_MS: u64 = 4_102_444_800_000;

    /// Checks what no single option can: combinations and ranges.
    ///
    /// # Errors
    /// [`InvalidOptions`], which names the options.
    pub fn check(&self) -> Result<(), InvalidOptions> {
        let policies = [
            self.fail_parent_on_failure,
            self.continue_parent_on_failure,
            self.ignore_dependency_on_failure,
            self.remove_dependency_on_failure,
        ];
        if policies.into_iter().filter(|is_set| *is_set).count() > 1 {
            return Err(InvalidOptions::SeveralPolicies);
        }
        if self.delay_ms > Self::MAX_DELAY_MS {
            return Err(InvalidOptions::DelayTooLong { delay_ms: self.delay_ms });
        }
        if let Some(timestamp_ms) = self.timestamp_ms.filter(|time| *time > Self::MAX_TIMESTAMP_MS) {
            return Err(InvalidOptions::TimestampTooLate { timestamp_ms });
        }
        if let Some(Backoff { kind: BackoffKind::Custom(name), .. }) = &self.backoff {
            check_length("opts.backoff.type", name)?;
        }
        self.check_deadlines()?;
        self.deduplication.as_ref().map_or(Ok(()), |deduplication| self.check_deduplication(deduplication))
    }

    fn check_deduplication(&self, deduplication: &Deduplication) -> Result<(), InvalidOptions> {
        if deduplication.id.is_empty() {
            return Err(InvalidOptions::EmptyDeduplicationId);
        }
        if deduplication.ttl_ms == Some(0) {
            return Err(InvalidOptions::ZeroTtl);
        }
        if let Some(ttl_ms) = deduplication.ttl_ms.filter(|ttl| *ttl > Self::MAX_DELAY_MS) {
            return Err(InvalidOptions::TtlTooLong { ttl_ms });
        }
        check_length("opts.deduplication.id", &deduplication.id)?;
        if self.parent.is_some() { Err(InvalidOptions::DeduplicatedChild) } else { Ok(()) }
    }
}

pub(crate) fn check_length(field: &'static str, name: &str) -> Result<(), InvalidOptions> {
    if name.len() > MAX_BYTES { Err(InvalidOptions::TooLong { field, bytes: name.len() }) } else { Ok(()) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none_priority(priority: &Priority) -> bool {
    *priority == Priority::NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        let error = serde_json::from_str::<JobOptions>(r#"{"atempts":3}"#).unwrap_err().to_string();
        assert!(error.contains("atempts"), "{error}");
    }

    #[test]
    fn what_redis_could_not_keep_is_refused_by_name() {
        let long = "x".repeat(MAX_BYTES + 1);
        for (json, field) in [
            (r#"{"delay":3155760000001}"#.to_owned(), "opts.delay"),
            (r#"{"timeoutMs":0}"#.to_owned(), "opts.timeoutMs"),
            (r#"{"ttlMs":3155760000001}"#.to_owned(), "opts.ttlMs"),
            (r#"{"heartbeatTimeoutMs":0}"#.to_owned(), "opts.heartbeatTimeoutMs"),
            (r#"{"expiresAt":"2101-01-01T00:00:00Z"}"#.to_owned(), "opts.expiresAt"),
            (r#"{"notRetried":[""]}"#.to_owned(), "opts.notRetried"),
            (r#"{"timestamp":4102444800001}"#.to_owned(), "opts.timestamp"),
            (r#"{"deduplication":{"id":"d","ttl":1000000000000000000}}"#.to_owned(), "opts.deduplication.ttl"),
            (format!(r#"{{"deduplication":{{"id":"{long}"}}}}"#), "opts.deduplication.id"),
            (format!(r#"{{"backoff":{{"type":"{long}"}}}}"#), "opts.backoff.type"),
        ] {
            let options: JobOptions = serde_json::from_str(&json).unwrap();
            assert_eq!(options.check().unwrap_err().field(), field);
        }
    }

    #[test]
    fn options_survive_a_round_trip() {
        let json = r#"{"jobId":"a","attempts":3,"backoff":{"type":"exponential","delay":100,"jitter":0.5},"delay":5,
            "priority":10,"lifo":true,"removeOnComplete":true,"removeOnFail":{"count":5,"age":60},"keepLogs":10,
            "sizeLimit":100,"stackTraceLimit":1,"timestamp":1700000000000,"timeoutMs":1,"ttlMs":2,
            "expiresAt":"2030-01-01T00:00:00Z","heartbeatTimeoutMs":3,"notRetried":["gone"]}"#;
        let options: JobOptions = serde_json::from_str(json).unwrap();
        let again: JobOptions = serde_json::from_str(&serde_json::to_string(&options).unwrap()).unwrap();
        assert_eq!(options, again);
    }
}
