//! Where a job stands: the wire's word and the user's word for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of a job as BullMQ names it: the key of the queue that holds its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// In line, first in first out.
    #[serde(alias = "wait")]
    Waiting,
    /// In line, by priority.
    Prioritized,
    /// Not due yet.
    Delayed,
    /// Claimed by a worker.
    Active,
    /// A parent whose children have not finished.
    WaitingChildren,
    /// Finished with a result.
    Completed,
    /// Finished without one.
    Failed,
    /// In no list of its queue.
    Unknown,
}

impl JobState {
    /// Every state that a queue keeps ids in, in the order BullMQ looks them up.
    pub const ALL: [Self; 7] = [
        Self::Completed,
        Self::Failed,
        Self::Delayed,
        Self::Prioritized,
        Self::Active,
        Self::Waiting,
        Self::WaitingChildren,
    ];

    /// BullMQ's word for the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Prioritized => "prioritized",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::WaitingChildren => "waiting-children",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Completed or failed: nothing happens to the job any more unless someone asks for it.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    /// What users are told, given the number of attempts already made.
    #[must_use]
    pub fn status(self, attempts_made: u32) -> JobStatus {
        match self {
            Self::Completed => JobStatus::Completed,
            Self::Failed => JobStatus::Failed,
            Self::Active => JobStatus::Active,
            Self::Waiting | Self::Prioritized | Self::Delayed if attempts_made > 0 => JobStatus::Retrying,
            Self::Waiting | Self::Prioritized | Self::Delayed | Self::WaitingChildren | Self::Unknown => {
                JobStatus::Pending
            }
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = if text == "wait" { Some(Self::Waiting) } else { None };
        known.or_else(|| Self::ALL.into_iter().find(|state| state.as_str() == text)).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("state `{text}` is not known: use one of {names}")
        })
    }
}

/// The status of a job in BlackRoad's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Accepted, not started.
    #[serde(alias = "queued")]
    Pending,
    /// Being run by a worker.
    #[serde(alias = "running")]
    Active,
    /// Failed at least once and waiting for its next attempt.
    Retrying,
    /// Finished with a result.
    #[serde(alias = "succeeded")]
    Completed,
    /// Finished without one.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Active, Self::Retrying, Self::Completed, Self::Failed, Self::Cancelled];

    /// The word for the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "queued" => Ok(Self::Pending),
            "running" => Ok(Self::Active),
            "succeeded" => Ok(Self::Completed),
            _ => Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
                let names = Self::ALL.map(Self::as_str).join(", ");
                format!("status `{text}` is not known: use one of {names}")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_under_the_older_services_words_too() {
        assert_eq!("succeeded".parse(), Ok(JobStatus::Completed));
        assert_eq!("running".parse(), Ok(JobStatus::Active));
        assert_eq!("queued".parse(), Ok(JobStatus::Pending));
        assert!("done".parse::<JobStatus>().unwrap_err().contains("pending, active"));
    }

    #[test]
    fn a_job_waiting_after_a_failed_attempt_is_retrying() {
        assert_eq!(JobState::Delayed.status(0), JobStatus::Pending);
        assert_eq!(JobState::Delayed.status(1), JobStatus::Retrying);
        assert_eq!(JobState::Active.status(1), JobStatus::Active);
    }
}
