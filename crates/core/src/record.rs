//! The terminal record of a job, as history keeps it.

use serde::Serialize;

use crate::{JobStatus, Json};

/// Everything worth keeping of a finished job. One record is made each time a job reaches a terminal state.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The queue it belonged to.
    pub queue: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it worked on.
    pub data: Json,
    /// Its options as they stood on the wire.
    pub opts: Json,
    /// How it ended, with the result or the reason.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Attempts that ended, with success or failure.
    pub attempts_made: u32,
    /// Attempts that began, including those given back or lost.
    pub attempts_started: u32,
    /// How often its worker went silent.
    pub stalled: u32,
    /// Creation time, epoch milliseconds.
    #[serde(rename = "timestamp")]
    pub timestamp_ms: u64,
    /// When its last attempt began, epoch milliseconds.
    #[serde(rename = "processedOn")]
    pub processed_ms: Option<u64>,
    /// When it finished, epoch milliseconds. Queue, id and this name the record.
    #[serde(rename = "finishedOn")]
    pub finished_ms: u64,
    /// The worker that ran its last attempt.
    pub worker: Option<String>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum Outcome {
    /// With a result.
    Completed {
        /// The result.
        result: Json,
    },
    /// Without one.
    Failed {
        /// Why.
        error: String,
        /// Where, one entry per failed attempt that knew.
        stack: Vec<String>,
    },
    /// Stopped on request.
    Cancelled {
        /// Why.
        error: String,
        /// Where, one entry per failed attempt that knew.
        stack: Vec<String>,
    },
}

impl Outcome {
    /// The status users are told.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        match self {
            Self::Completed { .. } => JobStatus::Completed,
            Self::Failed { .. } => JobStatus::Failed,
            Self::Cancelled { .. } => JobStatus::Cancelled,
        }
    }
}
