//! The forms of bodies as the description of the API shows them. The parsers read the types of `operator-core`; a test in
//! `openapi` holds the names of both together.
#![expect(dead_code, reason = "only describes what is read elsewhere")]

use serde_json::Value;
use utoipa::ToSchema;

/// A job to add, or a list of them.
#[derive(ToSchema)]
#[schema(as = JobOrJobs)]
#[serde(untagged)]
pub(crate) enum JobOrJobs {
    /// One job.
    One(Box<NewJobDocument>),
    /// A list of jobs, up to OPERATOR_MAX_BULK_JOBS.
    List(Vec<NewJobDocument>),
}

/// A job to add.
#[derive(ToSchema)]
#[schema(as = NewJob, example = json!({"name": "system.echo", "data": {"hello": "world"}, "opts": {"attempts": 3}}))]
pub(crate) struct NewJobDocument {
    /// Picks the job type that runs it.
    #[schema(min_length = 1)]
    name: String,
    /// What it works on: any JSON.
    data: Option<Value>,
    /// How it wants to be run; `options` is read, too.
    opts: Option<JobOptionsDocument>,
}

/// A flow to add, or a list of them.
#[derive(ToSchema)]
#[schema(as = FlowOrFlows)]
#[serde(untagged)]
pub(crate) enum FlowOrFlows {
    /// One flow.
    One(Box<NewFlowDocument>),
    /// A list of flows, up to OPERATOR_MAX_BULK_JOBS jobs in all.
    List(Vec<NewFlowDocument>),
}

/// A job of a flow, with the jobs it waits for.
#[derive(ToSchema)]
#[schema(as = NewFlow, no_recursion, example = json!({
    "name": "report", "queueName": "default", "children": [
        {"name": "fetch", "queueName": "crawl", "data": {"page": 1}, "opts": {"ignoreDependencyOnFailure": true}},
        {"name": "fetch", "queueName": "crawl", "data": {"page": 2}}
    ]
}))]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewFlowDocument {
    /// Picks the job type that runs it.
    #[schema(min_length = 1)]
    name: String,
    /// The queue it goes into; `queue` is read, too.
    queue_name: String,
    /// What it works on: any JSON.
    data: Option<Value>,
    /// How it wants to be run; `options` is read, too.
    opts: Option<JobOptionsDocument>,
    /// The jobs it waits for.
    children: Option<Vec<NewFlowDocument>>,
}

/// How a job wants to be run.
#[derive(ToSchema)]
#[schema(as = JobOptions, rename_all = "camelCase", example = json!({
    "jobId": "order-7", "attempts": 3, "backoff": {"type": "exponential", "delay": 1000, "jitter": 0.5}, "delay": 5000,
    "priority": "high", "lifo": false, "removeOnComplete": {"count": 1000, "age": 3600}, "removeOnFail": false,
    "keepLogs": 100, "sizeLimit": 65536, "stackTraceLimit": 10, "timestamp": 1_700_000_000_000u64,
    "parent": {"id": "report-1", "queue": "bull:default"}, "failParentOnFailure": true,
    "continueParentOnFailure": false, "ignoreDependencyOnFailure": false, "removeDependencyOnFailure": false,
    "deduplication": {"id": "order-7", "ttl": 5000}, "timeoutMs": 30000, "ttlMs": 600000,
    "expiresAt": "2030-01-31T09:00:00Z", "heartbeatTimeoutMs": 5000, "notRetried": ["validation_error"]
}))]
pub(crate) struct JobOptionsDocument {
    /// Its id, generated when absent: not a whole number, no colon, no word the queue keeps for itself.
    job_id: Option<String>,
    /// How many times it may be tried; 0 and 1 both mean once.
    attempts: Option<u32>,
    /// The wait between attempts: milliseconds, or {type: fixed or exponential, delay: milliseconds, jitter: 0 to 1}.
    backoff: Option<Value>,
    /// Milliseconds before it may run, up to 100 years.
    delay: Option<u64>,
    /// 1 (first) to 2097151 (last), or critical (1), high (10), normal (100), low (1000). A job that names none goes
    /// before all of them.
    priority: Option<Value>,
    /// Put it at the front of its queue.
    lifo: Option<bool>,
    /// What Redis keeps of it once completed: false for all, true for nothing, a count, or {age: seconds, count, limit}.
    remove_on_complete: Option<Value>,
    /// What Redis keeps of it once failed, in the same forms.
    remove_on_fail: Option<Value>,
    /// Keep the newest this many log lines.
    keep_logs: Option<u32>,
    /// Refuse it when its data is larger than this many bytes.
    size_limit: Option<u64>,
    /// Keep the stack traces of this many last attempts.
    stack_trace_limit: Option<u32>,
    /// Its creation time, epoch milliseconds; now when absent.
    timestamp: Option<u64>,
    /// The job that waits for this one; it must exist. Not in a flow, where it is the job above.
    parent: Option<ParentDocument>,
    /// When it fails for good, its parent fails, too. One of these four at most.
    fail_parent_on_failure: Option<bool>,
    /// When it fails for good, its parent starts at once.
    continue_parent_on_failure: Option<bool>,
    /// When it fails for good, its parent stops waiting for it and can read why it failed.
    ignore_dependency_on_failure: Option<bool>,
    /// When it fails for good, its parent stops waiting for it and never hears of it.
    remove_dependency_on_failure: Option<bool>,
    /// Makes it one of many that stand for the same thing, of which one is enough. Not with a parent or children.
    deduplication: Option<DeduplicationDocument>,
    /// How many milliseconds one attempt may run.
    timeout_ms: Option<u64>,
    /// Fail it as expired when it was not started this many milliseconds after it was due.
    ttl_ms: Option<u64>,
    /// Fail it as expired when it was not started by then: epoch milliseconds, or ISO 8601.
    expires_at: Option<Value>,
    /// Fail an attempt that gives no sign of life for this many milliseconds.
    heartbeat_timeout_ms: Option<u64>,
    /// The codes of failures that no attempt follows.
    not_retried: Option<Vec<String>>,
}

/// The parent of a job that is added by itself.
#[derive(ToSchema)]
#[schema(as = Parent)]
pub(crate) struct ParentDocument {
    /// Its id.
    id: String,
    /// Its queue's key: prefix, colon, name.
    #[schema(example = "bull:default")]
    queue: String,
}

/// What makes jobs the same, and what becomes of those that come while one is there.
#[derive(ToSchema)]
#[schema(as = Deduplication, rename_all = "camelCase")]
pub(crate) struct DeduplicationDocument {
    /// What makes jobs the same.
    #[schema(min_length = 1)]
    id: String,
    /// For how many milliseconds the id holds; without it, until the job finishes.
    #[schema(minimum = 1)]
    ttl: Option<u64>,
    /// Every job that is not added starts the ttl anew.
    extend: Option<bool>,
    /// A new job takes the place of one that is still delayed.
    replace: Option<bool>,
    /// The last job that came while one was running is added when that has finished.
    keep_last_if_active: Option<bool>,
    /// A new job gives its delay to one that is still delayed.
    reschedule: Option<bool>,
}

/// A scheduler to make, or to give another schedule.
#[derive(ToSchema)]
#[schema(as = NewScheduler, example = json!({
    "repeat": {"pattern": "0 3 * * *", "tz": "Europe/Berlin"},
    "template": {"name": "system.echo", "data": {"hello": "world"}, "opts": {"attempts": 3}}
}))]
pub(crate) struct NewSchedulerDocument {
    /// When it makes jobs.
    repeat: RepeatDocument,
    /// What they are.
    template: Option<JobTemplateDocument>,
}

/// When a scheduler makes jobs: `every` or `pattern`.
#[derive(ToSchema)]
#[schema(as = Repeat, rename_all = "camelCase", example = json!({
    "every": 60000, "offset": 0, "pattern": "0 3 * * *", "tz": "Europe/Berlin", "limit": 100,
    "startDate": "2030-01-31T09:00:00Z", "endDate": 1_900_000_000_000u64, "immediately": false
}))]
pub(crate) struct RepeatDocument {
    /// Milliseconds between two jobs; the first is due at once, at startDate, or where offset puts it.
    #[schema(minimum = 1)]
    every: Option<u64>,
    /// Shifts the slots of `every` from the multiples of the interval since 1970, milliseconds.
    offset: Option<u64>,
    /// A cron pattern of five fields, or six with seconds first.
    pattern: Option<String>,
    /// The time zone of the pattern; UTC when absent.
    tz: Option<String>,
    /// How many jobs are made at most.
    #[schema(minimum = 1)]
    limit: Option<u64>,
    /// No job is due before it: epoch milliseconds or ISO 8601.
    start_date: Option<Value>,
    /// No job is made after it: epoch milliseconds or ISO 8601.
    end_date: Option<Value>,
    /// The first job of a pattern is due at once.
    immediately: Option<bool>,
}

/// What the jobs of a scheduler are.
#[derive(ToSchema)]
#[schema(as = JobTemplate)]
pub(crate) struct JobTemplateDocument {
    /// Picks the job type that runs them; the scheduler's id when absent.
    name: Option<String>,
    /// What they work on: any JSON.
    data: Option<Value>,
    /// How they want to be run; not jobId, delay, parent or deduplication, which the schedule decides.
    opts: Option<JobOptionsDocument>,
}
