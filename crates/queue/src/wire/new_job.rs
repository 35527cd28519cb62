//! A job on its way into a queue, as `add.lua` and `flow.lua` take it.

use operator_core::{Deduplication, JobId, JobOptions, Json};
use serde::Serialize;

use super::options;

/// In the order of the scripts' positions.
#[derive(Serialize)]
pub(crate) struct WireJob<'a>(
    &'a str,
    bool,
    &'a str,
    &'a str,
    String,
    u64,
    u64,
    u32,
    bool,
    Option<String>,
    Option<String>,
    Option<WireDeduplication<'a>>,
);

#[derive(Serialize)]
struct WireDeduplication<'a>(&'a str, Option<u64>, bool, bool, bool, bool);

/// What a child says of its parent in its hash (bullmq-wire, section 1.4).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireParent<'a> {
    id: &'a str,
    queue_key: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fpof: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cpof: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    idof: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rdof: bool,
}

impl<'a> WireJob<'a> {
    /// The job of this id. For one of the caller's own the script looks for an older job.
    pub(crate) fn new(id: &'a JobId, name: &'a str, data: &'a Json, opts: &'a JobOptions, now_ms: u64) -> Self {
        Self(
            id.as_str(),
            opts.job_id.is_some(),
            name,
            data.as_str(),
            options::encode(opts),
            opts.timestamp_ms.unwrap_or(now_ms),
            opts.delay_ms,
            opts.priority.get(),
            opts.lifo,
            opts.parent.as_ref().map(|parent| format!("{}:{}", parent.queue, parent.id)),
            parent(opts),
            opts.deduplication.as_ref().map(WireDeduplication::new),
        )
    }
}

fn parent(opts: &JobOptions) -> Option<String> {
    let parent = opts.parent.as_ref()?;
    let wire = WireParent {
        id: parent.id.as_str(),
        queue_key: &parent.queue,
        fpof: opts.fail_parent_on_failure,
        cpof: opts.continue_parent_on_failure,
        idof: opts.ignore_dependency_on_failure,
        rdof: opts.remove_dependency_on_failure,
    };
    Some(serde_json::to_string(&wire).expect("text and flags can be encoded"))
}

impl<'a> WireDeduplication<'a> {
    fn new(of: &'a Deduplication) -> Self {
        Self(&of.id, of.ttl_ms, of.extend, of.replace, of.keep_last_if_active, of.reschedule)
    }
}
