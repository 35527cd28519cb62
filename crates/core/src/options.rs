//! How a job wants to be run: the options a caller may give, in their public form.

use serde::{Deserialize, Serialize};

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
    /// At most this many lines of a stack trace are stored per attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_trace_limit: Option<u32>,
    /// Creation time in epoch milliseconds; now when absent.
    #[serde(rename = "timestamp", skip_serializing_if = "Option::is_none")]
    pub timestamp_ms: Option<u64>,
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
    fn options_survive_a_round_trip() {
        let json = r#"{"jobId":"a","attempts":3,"backoff":{"type":"exponential","delay":100,"jitter":0.5},"delay":5,
            "priority":10,"lifo":true,"removeOnComplete":true,"removeOnFail":{"count":5,"age":60},"keepLogs":10,
            "sizeLimit":100,"stackTraceLimit":1,"timestamp":1700000000000}"#;
        let options: JobOptions = serde_json::from_str(json).unwrap();
        let again: JobOptions = serde_json::from_str(&serde_json::to_string(&options).unwrap()).unwrap();
        assert_eq!(options, again);
    }
}
