//! A record as columns, in both directions.

use std::borrow::Cow;

use operator_core::{JobRecord, Json, Outcome};
use sqlx::FromRow;

use crate::database::{ms, stored_ms};
use crate::text::{key, original, stored};

/// The columns of [`JobRow`], by name: with `*`, a column that a newer release adds would change the result of
/// statements which running processes have prepared, and PostgreSQL refuses those then.
macro_rules! columns {
    () => {
        "queue, id, name, data, opts, status, result, error, stack, attempts_made, attempts_started, stalled, \
         created_on, processed_on, finished_on, worker"
    };
}

pub(super) use columns;

/// A record on its way into the table.
pub(super) struct NewRow<'r> {
    pub(super) queue: Cow<'r, str>,
    pub(super) id: Cow<'r, str>,
    pub(super) name: Cow<'r, str>,
    pub(super) data: &'r str,
    pub(super) opts: &'r str,
    pub(super) status: &'static str,
    pub(super) result: Option<&'r str>,
    pub(super) error: Option<Cow<'r, str>>,
    /// A JSON array, in which control characters are escaped by themselves.
    pub(super) stack: Option<String>,
    pub(super) attempts_made: i64,
    pub(super) attempts_started: i64,
    pub(super) stalled: i64,
    pub(super) created_on: i64,
    pub(super) processed_on: Option<i64>,
    pub(super) finished_on: i64,
    pub(super) worker: Option<Cow<'r, str>>,
}

impl<'r> NewRow<'r> {
    pub(super) fn of(record: &'r JobRecord) -> Self {
        let (result, error, stack) = match &record.outcome {
            Outcome::Completed { result } => (Some(result.as_str()), None, None),
            Outcome::Failed { error, stack } | Outcome::Cancelled { error, stack } => {
                (None, Some(stored(error)), Some(serde_json::Value::from(stack.as_slice()).to_string()))
            }
        };
        Self {
            queue: key(&record.queue),
            id: key(&record.id),
            name: key(&record.name),
            data: record.data.as_str(),
            opts: record.opts.as_str(),
            status: record.outcome.status().as_str(),
            result,
            error,
            stack,
            attempts_made: record.attempts_made.into(),
            attempts_started: record.attempts_started.into(),
            stalled: record.stalled.into(),
            created_on: stored_ms(record.timestamp_ms),
            processed_on: record.processed_ms.map(stored_ms),
            finished_on: stored_ms(record.finished_ms),
            worker: record.worker.as_deref().map(stored),
        }
    }

    /// What names the record, in the order of the primary key.
    pub(super) fn key(&self) -> (&str, &str, i64) {
        (&self.id, &self.queue, self.finished_on)
    }

    /// Roughly what the row weighs in a statement; all that can be large is counted.
    pub(super) fn bytes(&self) -> usize {
        let failure = self.error.as_deref().map_or(0, str::len) + self.stack.as_deref().map_or(0, str::len);
        let keys = self.queue.len() + self.id.len() + self.name.len();
        self.data.len() + self.opts.len() + self.result.map_or(0, str::len) + failure + keys
    }
}

/// A record as the table holds it.
#[derive(FromRow)]
pub(super) struct JobRow {
    pub(super) queue: String,
    pub(super) id: String,
    name: String,
    data: String,
    opts: String,
    status: String,
    result: Option<String>,
    error: Option<String>,
    stack: Option<String>,
    attempts_made: i64,
    attempts_started: i64,
    stalled: i64,
    created_on: i64,
    processed_on: Option<i64>,
    pub(super) finished_on: i64,
    worker: Option<String>,
}

impl JobRow {
    /// The record, unless a column holds what we never write there.
    pub(super) fn into_record(self) -> Result<JobRecord, sqlx::Error> {
        let place = format!("record of job {} in queue {} that finished on {}", self.id, self.queue, self.finished_on);
        self.decode().map_err(|problem| sqlx::Error::Decode(format!("{place}: {problem}").into()))
    }

    fn decode(self) -> Result<JobRecord, String> {
        Ok(JobRecord {
            outcome: outcome(&self.status, self.result, self.error, self.stack)?,
            queue: original(self.queue),
            id: original(self.id),
            name: original(self.name),
            data: json("data", self.data)?,
            opts: json("opts", self.opts)?,
            attempts_made: count(self.attempts_made),
            attempts_started: count(self.attempts_started),
            stalled: count(self.stalled),
            timestamp_ms: ms(self.created_on),
            processed_ms: self.processed_on.map(ms),
            finished_ms: ms(self.finished_on),
            worker: self.worker.map(original),
        })
    }
}

fn outcome(
    status: &str,
    result: Option<String>,
    error: Option<String>,
    stack: Option<String>,
) -> Result<Outcome, String> {
    match status {
        "completed" => Ok(Outcome::Completed { result: json("result", result.unwrap_or_else(|| "null".into()))? }),
        "failed" | "cancelled" => {
            let stack = serde_json::from_str(stack.as_deref().unwrap_or("[]"));
            let stack = stack.map_err(|problem| format!("column stack: {problem}"))?;
            let error = error.map(original).unwrap_or_default();
            Ok(if status == "failed" { Outcome::Failed { error, stack } } else { Outcome::Cancelled { error, stack } })
        }
        other => Err(format!("column status: `{other}` is not how a job ends")),
    }
}

fn json(column: &str, text: String) -> Result<Json, String> {
    Json::parse(text).map_err(|problem| format!("column {column}: {problem}"))
}

fn count(stored: i64) -> u32 {
    u32::try_from(stored.max(0)).unwrap_or(u32::MAX)
}
