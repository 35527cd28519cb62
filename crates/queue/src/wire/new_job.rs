//! A job on its way into a queue, as `add.lua` and `flow.lua` take it.

use operator_core::{Deduplication, JobId, JobOptions, Json};
use serde::{Serialize, Serializer};

use super::options;

/// What the scripts are given of a job.
pub(crate) struct WireJob<'a> {
    plain: WirePlain<'a>,
    /// Nothing for a plain job: then the list ends before it, which the shortcut of `add.lua` knows it by.
    rest: Option<WireRest<'a>>,
}

/// In the order of the scripts' positions. The time is text, which is what it becomes in the hash.
#[derive(Serialize)]
struct WirePlain<'a>(&'a str, &'a str, &'a str, String, String);

/// Behind those of a plain job.
struct WireRest<'a> {
    may_exist: bool,
    delay_ms: u64,
    priority: u32,
    lifo: bool,
    parent_key: Option<String>,
    parent: Option<String>,
    deduplication: Option<WireDeduplication<'a>>,
}

impl Serialize for WireJob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WirePlain(id, name, data, opts, timestamp) = &self.plain;
        let Some(rest) = &self.rest else { return self.plain.serialize(serializer) };
        let WireRest { may_exist, delay_ms, priority, lifo, parent_key, parent, deduplication } = rest;
        let job =
            (id, name, data, opts, timestamp, may_exist, delay_ms, priority, lifo, parent_key, parent, deduplication);
        job.serialize(serializer)
    }
}

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
        let may_exist = opts.job_id.is_some();
        let is_plain = !may_exist
            && opts.delay_ms == 0
            && opts.priority.get() == 0
            && !opts.lifo
            && opts.parent.is_none()
            && opts.deduplication.is_none();
        let rest = || WireRest {
            may_exist,
            delay_ms: opts.delay_ms,
            priority: opts.priority.get(),
            lifo: opts.lifo,
            parent_key: opts.parent.as_ref().map(|parent| format!("{}:{}", parent.queue, parent.id)),
            parent: parent(opts),
            deduplication: opts.deduplication.as_ref().map(WireDeduplication::new),
        };
        let timestamp = opts.timestamp_ms.unwrap_or(now_ms).to_string();
        Self {
            plain: WirePlain(id.as_str(), name, data.as_str(), options::encode(opts), timestamp),
            rest: (!is_plain).then(rest),
        }
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
