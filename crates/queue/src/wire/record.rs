//! The part of a terminal record that the worker knows, as it lies in the history stream. Data and result lie beside
//! it: the settle script has them at hand, so they are not sent twice.

use operator_core::{Job, JobRecord, JobStatus, Json, Outcome};
use serde::{Deserialize, Serialize};

use crate::error::QueueError;

/// Packed as a list, so that a field may be added at the end and older entries stay readable.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireRecord {
    id: String,
    name: String,
    opts: String,
    is_completed: bool,
    stack: Vec<String>,
    attempts_made: u32,
    attempts_started: u32,
    stalled: u32,
    timestamp_ms: u64,
    processed_ms: Option<u64>,
    finished_ms: u64,
    worker: Option<String>,
    /// Not in entries of older releases, which know no such end.
    #[serde(default)]
    is_cancelled: bool,
}

impl WireRecord {
    /// What `worker` knows of `job`, whose attempt ended at `finished_ms`.
    pub(crate) fn new(job: &Job, end: JobStatus, stack: &[String], worker: Option<&str>, finished_ms: u64) -> Self {
        Self {
            id: job.id.to_string(),
            name: job.name.clone(),
            opts: job.wire_opts.as_str().to_owned(),
            is_completed: end == JobStatus::Completed,
            stack: stack.to_vec(),
            attempts_made: job.attempts_made.saturating_add(1),
            attempts_started: job.attempts_started,
            stalled: job.stalled,
            timestamp_ms: job.timestamp_ms,
            processed_ms: job.processed_ms,
            finished_ms,
            worker: worker.map(str::to_owned),
            is_cancelled: end == JobStatus::Cancelled,
        }
    }

    /// The same of a job that ended without another attempt.
    pub(crate) fn without_attempt(self) -> Self {
        Self { attempts_made: self.attempts_made.saturating_sub(1), ..self }
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("text and numbers can be packed")
    }

    /// The record, put together from the three fields of a history entry.
    pub(crate) fn unpack(queue: &str, packed: &[u8], data: &str, value: &str) -> Result<JobRecord, QueueError> {
        let corrupt = |problem: String| QueueError::Corrupt { what: format!("a history entry of {queue}"), problem };
        let record: Self = rmp_serde::from_slice(packed).map_err(|error| corrupt(error.to_string()))?;
        // Other writers' data need not be JSON: it is kept as text then.
        let json =
            |text: &str| Json::parse(text).or_else(|_| Json::encode(text)).map_err(|error| corrupt(error.to_string()));
        let outcome = if record.is_completed {
            Outcome::Completed { result: json(value)? }
        } else if record.is_cancelled {
            Outcome::Cancelled { error: value.to_owned(), stack: record.stack }
        } else {
            Outcome::Failed { error: value.to_owned(), stack: record.stack }
        };
        Ok(JobRecord {
            queue: queue.to_owned(),
            id: record.id,
            name: record.name,
            data: json(data)?,
            opts: json(&record.opts)?,
            outcome,
            attempts_made: record.attempts_made,
            attempts_started: record.attempts_started,
            stalled: record.stalled,
            timestamp_ms: record.timestamp_ms,
            processed_ms: record.processed_ms,
            finished_ms: record.finished_ms,
            worker: record.worker,
        })
    }
}
