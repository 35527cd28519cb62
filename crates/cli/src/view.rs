//! How jobs and queues look to people and programs: the API's words, times in ISO 8601.

use operator_core::time::iso;
use operator_core::{Job, JobState, JobStatus, Json};
use operator_queue::Counts;
use serde::Serialize;

/// A queue with its counts.
#[derive(Debug, Serialize)]
pub(crate) struct QueueView {
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) counts: std::collections::BTreeMap<&'static str, u64>,
}

impl QueueView {
    pub(crate) fn new(name: &str, counts: Counts) -> Self {
        Self { name: name.to_owned(), paused: counts.paused, counts: counts.by_state }
    }

    /// The columns of a list of queues.
    pub(crate) const COLUMNS: [&str; 9] =
        ["queue", "paused", "waiting", "prioritized", "delayed", "active", "children", "completed", "failed"];

    pub(crate) fn row(&self) -> [String; 9] {
        let count = |state: JobState| self.counts.get(state.as_str()).copied().unwrap_or(0).to_string();
        [
            self.name.clone(),
            if self.paused { "yes" } else { "no" }.to_owned(),
            count(JobState::Waiting),
            count(JobState::Prioritized),
            count(JobState::Delayed),
            count(JobState::Active),
            count(JobState::WaitingChildren),
            count(JobState::Completed),
            count(JobState::Failed),
        ]
    }
}

/// A job with everything its hash says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobView {
    pub(crate) queue: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: JobState,
    pub(crate) status: JobStatus,
    pub(crate) quarantined: bool,
    pub(crate) data: Json,
    pub(crate) opts: Json,
    pub(crate) created_at: String,
    pub(crate) processed_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) priority: u32,
    pub(crate) delay: u64,
    pub(crate) attempts_made: u32,
    pub(crate) attempts_started: u32,
    pub(crate) stalled_count: u32,
    pub(crate) processed_by: Option<String>,
    pub(crate) progress: Option<Json>,
    pub(crate) result: Option<Json>,
    pub(crate) error: Option<String>,
    pub(crate) stacktrace: Vec<String>,
    pub(crate) logs: Vec<String>,
}

impl JobView {
    pub(crate) fn new(job: Job, state: JobState, logs: Vec<String>) -> Self {
        let (status, quarantined) = (job.status(state), job.is_quarantined());
        Self {
            queue: job.queue.into(),
            id: job.id.into(),
            name: job.name,
            state,
            status,
            quarantined,
            data: job.data,
            opts: job.wire_opts,
            created_at: iso(job.timestamp_ms),
            processed_at: job.processed_ms.map(iso),
            finished_at: job.finished_ms.map(iso),
            priority: job.priority,
            delay: job.delay_ms,
            attempts_made: job.attempts_made,
            attempts_started: job.attempts_started,
            stalled_count: job.stalled,
            processed_by: job.processed_by,
            progress: job.progress,
            result: job.return_value,
            error: job.failed_reason,
            stacktrace: job.stacktrace,
            logs,
        }
    }

    /// The columns of a list of jobs.
    pub(crate) const COLUMNS: [&str; 6] = ["id", "name", "state", "status", "attempts", "created"];

    pub(crate) fn row(&self) -> [String; 6] {
        [
            self.id.clone(),
            self.name.clone(),
            self.state.to_string(),
            self.status.to_string(),
            self.attempts_made.to_string(),
            self.created_at.clone(),
        ]
    }

    /// One field a line, without those that are not set.
    pub(crate) fn page(&self) -> String {
        let mut lines = vec![
            ("id", self.id.clone()),
            ("name", self.name.clone()),
            ("queue", self.queue.clone()),
            ("state", format!("{} ({})", self.state, self.status)),
            ("attempts", format!("{} made, {} started", self.attempts_made, self.attempts_started)),
            ("created", self.created_at.clone()),
        ];
        let json = |value: &Json| value.as_str().to_owned();
        let optional = [
            ("started", self.processed_at.clone()),
            ("finished", self.finished_at.clone()),
            ("worker", self.processed_by.clone()),
            ("stalled", (self.stalled_count > 0).then(|| format!("{} times", self.stalled_count))),
            ("quarantined", self.quarantined.then(|| "yes: it may be what kills its workers".to_owned())),
            ("priority", (self.priority > 0).then(|| self.priority.to_string())),
            ("delay", (self.delay > 0).then(|| format!("{} ms", self.delay))),
            ("opts", Some(json(&self.opts))),
            ("data", Some(json(&self.data))),
            ("progress", self.progress.as_ref().map(json)),
            ("result", self.result.as_ref().map(json)),
            ("error", self.error.clone()),
        ];
        lines.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        lines.extend(self.stacktrace.iter().map(|entry| ("stack", entry.replace('\n', "\n            "))));
        lines.extend(self.logs.iter().map(|line| ("log", line.clone())));
        lines.iter().map(|(name, value)| format!("{name:<11} {value}")).collect::<Vec<_>>().join("\n")
    }
}
