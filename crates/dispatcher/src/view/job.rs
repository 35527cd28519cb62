//! A job as the API shows it, whether it lives in a queue or only in the history.

use operator_core::time::iso;
use operator_core::{Job, JobRecord, JobState, Json, Outcome};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub(crate) struct JobView {
    /// Its id, unique within its queue.
    #[schema(example = "019a5b6e-7b5a-7000-8000-000000000000")]
    id: String,
    /// The queue it belongs to.
    #[schema(example = "default")]
    queue: String,
    /// Picks the job type that runs it.
    #[schema(example = "system.echo")]
    name: String,
    /// What it works on: any JSON, as it was given.
    #[schema(value_type = Value)]
    data: Json,
    /// Its options, under their public names.
    #[schema(value_type = Object)]
    opts: Map<String, Value>,
    /// BullMQ's word: waiting, prioritized, delayed, active, waiting-children, completed, failed or unknown.
    #[schema(example = "completed")]
    state: &'static str,
    /// BlackRoad's word: pending, active, retrying, completed, failed or cancelled.
    #[schema(example = "completed")]
    status: &'static str,
    /// Whether it failed because it lost its workers too often: it may be what kills them.
    quarantined: bool,
    /// Where this was read: `queue` while the job lives in Redis, `history` afterwards.
    #[schema(example = "queue")]
    source: &'static str,
    /// 0 for none, else 1 (first) to 2097151 (last).
    priority: u32,
    /// The delay it was last given, milliseconds; 0 once it may run.
    delay: u64,
    /// Attempts that ended.
    attempts_made: u32,
    /// Attempts that began, including those given back or lost.
    attempts_started: u32,
    /// How often its worker went silent.
    stalled_count: u32,
    /// What it last reported of its progress; the history does not keep it.
    #[schema(value_type = Value)]
    progress: Option<Json>,
    /// Its result, once completed.
    #[schema(value_type = Value)]
    result: Option<Json>,
    /// Why its last attempt failed.
    error: Option<String>,
    /// One entry per failed attempt that had a stack.
    stacktrace: Vec<String>,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its last attempt began.
    #[schema(format = DateTime)]
    processed_at: Option<String>,
    /// When it finished.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// The worker that ran its last attempt.
    processed_by: Option<String>,
}

impl JobView {
    /// A job that lives in a queue.
    pub(crate) fn of_job(job: Job, state: JobState) -> Self {
        let (status, quarantined) = (job.status(state), job.is_quarantined());
        Self {
            id: job.id.into(),
            queue: job.queue.into(),
            name: job.name,
            data: job.data,
            opts: public_options(&job.wire_opts),
            state: state.as_str(),
            status: status.as_str(),
            quarantined,
            source: "queue",
            priority: job.priority,
            delay: job.delay_ms,
            attempts_made: job.attempts_made,
            attempts_started: job.attempts_started,
            stalled_count: job.stalled,
            progress: job.progress,
            result: job.return_value,
            error: job.failed_reason,
            stacktrace: job.stacktrace,
            created_at: iso(job.timestamp_ms),
            processed_at: job.processed_ms.map(iso),
            finished_at: job.finished_ms.map(iso),
            processed_by: job.processed_by,
        }
    }

    /// A job as the history keeps it.
    pub(crate) fn of_record(record: JobRecord) -> Self {
        let opts = public_options(&record.opts);
        let status = record.outcome.status();
        // A cancelled job lies among the failed ones on the wire.
        let state = if status == operator_core::JobStatus::Completed { JobState::Completed } else { JobState::Failed };
        let (result, error, stacktrace) = match record.outcome {
            Outcome::Completed { result } => (Some(result), None, Vec::new()),
            Outcome::Failed { error, stack } | Outcome::Cancelled { error, stack } => (None, Some(error), stack),
        };
        Self {
            id: record.id,
            queue: record.queue,
            name: record.name,
            data: record.data,
            state: state.as_str(),
            status: status.as_str(),
            quarantined: error.as_deref() == Some(Job::STALLED_TOO_OFTEN),
            source: "history",
            priority: opts.get("priority").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            opts,
            delay: 0,
            attempts_made: record.attempts_made,
            attempts_started: record.attempts_started,
            stalled_count: record.stalled,
            progress: None,
            result,
            error,
            stacktrace,
            created_at: iso(record.timestamp_ms),
            processed_at: record.processed_ms.map(iso),
            finished_at: Some(iso(record.finished_ms)),
            processed_by: record.worker,
        }
    }
}

/// The options that the wire stores under shorter names.
const SHORTENED: [(&str, &str); 8] = [
    ("kl", "keepLogs"),
    ("de", "deduplication"),
    ("fpof", "failParentOnFailure"),
    ("cpof", "continueParentOnFailure"),
    ("idof", "ignoreDependencyOnFailure"),
    ("rdof", "removeDependencyOnFailure"),
    ("tm", "telemetryMetadata"),
    ("omc", "omitContext"),
];

/// The options in `wire`, under the names their users gave them.
pub(crate) fn public_options(wire: &Json) -> Map<String, Value> {
    let fields: Map<String, Value> = wire.decode().unwrap_or_default();
    let public = |name: String| {
        let long = SHORTENED.iter().find(|(short, _)| *short == name).map(|(_, long)| (*long).to_owned());
        long.unwrap_or(name)
    };
    fields.into_iter().map(|(name, value)| (public(name), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_the_names_their_users_gave_them() {
        let opts = public_options(&Json::parse(r#"{"attempts":3,"kl":5,"mine":[1]}"#).unwrap());
        assert_eq!(Value::from(opts), serde_json::json!({"attempts": 3, "keepLogs": 5, "mine": [1]}));
        assert!(public_options(&Json::parse("[]").unwrap()).is_empty());
    }
}
