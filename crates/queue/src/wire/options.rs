//! The `opts` field of a job hash: public options under the wire's shorter names, as JSON.
//!
//! Facts: bullmq-wire section 2. Readers of other languages write long names and odd numbers, so reading is lenient:
//! an option that cannot be understood is left at its default, it never hides the others.

use operator_core::time::parse_iso;
use operator_core::{Backoff, Deduplication, JobId, JobOptions, Keep, ParentRef, Priority};
use serde::Serialize;
use serde_json::{Map, Value};

/// The options as the wire spells them. `attempts` is always there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireOptions<'a> {
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<&'a Backoff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lifo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<&'a JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove_on_complete: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove_on_fail: Option<Keep>,
    #[serde(rename = "kl", skip_serializing_if = "Option::is_none")]
    keep_logs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_trace_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a ParentRef>,
    #[serde(rename = "fpof", skip_serializing_if = "std::ops::Not::not")]
    fail_parent: bool,
    #[serde(rename = "cpof", skip_serializing_if = "std::ops::Not::not")]
    continue_parent: bool,
    #[serde(rename = "idof", skip_serializing_if = "std::ops::Not::not")]
    ignore_dependency: bool,
    #[serde(rename = "rdof", skip_serializing_if = "std::ops::Not::not")]
    remove_dependency: bool,
    #[serde(rename = "de", skip_serializing_if = "Option::is_none")]
    deduplication: Option<&'a Deduplication>,
    // What follows is ours: BullMQ keeps it and does not look at it. An empty list would come back as a map.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    not_retried: &'a [String],
}

/// The JSON of `options` for the job hash.
pub(crate) fn encode(options: &JobOptions) -> String {
    let wire = WireOptions {
        attempts: options.attempts,
        backoff: options.backoff.as_ref(),
        delay: (options.delay_ms > 0).then_some(options.delay_ms),
        priority: (options.priority != Priority::NONE).then_some(options.priority.get()),
        lifo: options.lifo,
        job_id: options.job_id.as_ref(),
        remove_on_complete: options.remove_on_complete,
        remove_on_fail: options.remove_on_fail,
        keep_logs: options.keep_logs,
        size_limit: options.size_limit,
        stack_trace_limit: options.stack_trace_limit,
        timestamp: options.timestamp_ms,
        parent: options.parent.as_ref(),
        fail_parent: options.fail_parent_on_failure,
        continue_parent: options.continue_parent_on_failure,
        ignore_dependency: options.ignore_dependency_on_failure,
        remove_dependency: options.remove_dependency_on_failure,
        deduplication: options.deduplication.as_ref(),
        timeout_ms: options.timeout_ms,
        ttl_ms: options.ttl_ms,
        expires_at: options.expires_at_ms,
        heartbeat_timeout_ms: options.heartbeat_timeout_ms,
        not_retried: &options.not_retried,
    };
    serde_json::to_string(&wire).expect("the options are numbers, text and plain maps")
}

/// Reads the `opts` field of a job hash.
pub(crate) fn decode(json: &str) -> JobOptions {
    let fields: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    let value = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).filter(|value| !value.is_null());
    let whole = |names: &[&str]| value(names).and_then(whole_number);
    let small = |names: &[&str]| whole(names).and_then(|number| u32::try_from(number).ok());
    let keep = |names: &[&str]| value(names).and_then(|value| Keep::try_from(value.clone()).ok());
    let flag = |names: &[&str]| value(names).and_then(Value::as_bool).unwrap_or(false);
    JobOptions {
        job_id: value(&["jobId"]).and_then(Value::as_str).map(JobId::from_wire),
        attempts: small(&["attempts"]).unwrap_or(0),
        backoff: value(&["backoff"]).and_then(|value| Backoff::try_from(value.clone()).ok()),
        delay_ms: whole(&["delay"]).unwrap_or(0),
        priority: small(&["priority"]).and_then(|number| Priority::new(number).ok()).unwrap_or_default(),
        lifo: flag(&["lifo"]),
        remove_on_complete: keep(&["removeOnComplete"]),
        remove_on_fail: keep(&["removeOnFail"]),
        keep_logs: small(&["kl", "keepLogs"]),
        size_limit: whole(&["sizeLimit"]),
        stack_trace_limit: small(&["stackTraceLimit"]),
        timestamp_ms: whole(&["timestamp"]),
        parent: value(&["parent"]).and_then(|value| serde_json::from_value(value.clone()).ok()),
        fail_parent_on_failure: flag(&["fpof", "failParentOnFailure"]),
        continue_parent_on_failure: flag(&["cpof", "continueParentOnFailure"]),
        ignore_dependency_on_failure: flag(&["idof", "ignoreDependencyOnFailure"]),
        remove_dependency_on_failure: flag(&["rdof", "removeDependencyOnFailure"]),
        deduplication: value(&["de", "deduplication"]).and_then(|value| serde_json::from_value(value.clone()).ok()),
        timeout_ms: whole(&["timeoutMs"]).filter(|ms| *ms > 0),
        ttl_ms: whole(&["ttlMs"]).filter(|ms| *ms > 0),
        expires_at_ms: value(&["expiresAt"]).and_then(|at| whole_number(at).or_else(|| parse_iso(at.as_str()?))),
        heartbeat_timeout_ms: whole(&["heartbeatTimeoutMs"]).filter(|ms| *ms > 0),
        not_retried: value(&["notRetried"])
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |codes| codes.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
    }
}

/// A whole number, however the writer printed it: `3`, `3.0` and `1e14` are all in use.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole, positive and exact")]
fn whole_number(value: &Value) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = || value.as_f64().filter(|number| (0.0..=EXACT).contains(number) && number.fract() == 0.0);
    value.as_u64().or_else(|| float().map(|number| number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_take_the_wires_names() {
        let options = JobOptions { keep_logs: Some(5), attempts: 3, lifo: true, ..JobOptions::default() };
        assert_eq!(encode(&options), r#"{"attempts":3,"lifo":true,"kl":5}"#);
        assert_eq!(encode(&JobOptions::default()), r#"{"attempts":0}"#);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let json = r#"{"jobId":"a","attempts":3,"backoff":{"type":"exponential","delay":100,"jitter":0.5},"delay":5,
            "priority":10,"lifo":true,"removeOnComplete":true,"removeOnFail":{"count":5,"age":60},"keepLogs":10,
            "sizeLimit":100,"stackTraceLimit":1,"timestamp":1700000000000,"parent":{"id":"p","queue":"bull:q"},
            "failParentOnFailure":true,"deduplication":{"id":"d","ttl":5,"keepLastIfActive":true}}"#;
        let options: JobOptions = serde_json::from_str(json).unwrap();
        assert_eq!(decode(&encode(&options)), options);
    }

    #[test]
    fn odd_writers_do_not_hide_the_other_options() {
        let options =
            decode(r#"{"attempts":3.0,"backoff":[],"delay":1e3,"keepLogs":7,"priority":-4,"removeOnFail":"x"}"#);
        assert_eq!((options.attempts, options.delay_ms, options.keep_logs), (3, 1000, Some(7)));
        assert_eq!(decode("not json"), JobOptions::default());
    }
}
