//! What can go wrong between a caller and a queue, and what the scripts' numbers mean.

use operator_core::InvalidOptions;
use operator_core::ids::InvalidId;
use operator_core::schedule::InvalidSchedule;
use thiserror::Error;

use crate::redis::RedisError;

/// Why a queue did not do what it was asked to.
#[derive(Debug, Error)]
pub enum QueueError {
    /// Redis could not be asked, or answered with an error. Nothing is known to have changed. An add may be
    /// repeated if the job has an id of the caller's.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// A queue name or job id is not usable; nothing was written.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// Options do not go together; nothing was written.
    #[error(transparent)]
    InvalidOptions(#[from] InvalidOptions),
    /// A schedule cannot be followed; nothing was written.
    #[error(transparent)]
    InvalidSchedule(#[from] InvalidSchedule),
    /// An argument is out of its range; nothing was written. Names the argument and the remedy.
    #[error("{field}: {problem}")]
    InvalidArgument {
        /// The argument.
        field: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A script works on one server of a cluster; nothing was written.
    #[error(
        "the queues at {first} and {second} lie in different slots of the cluster: give both names the same part in \
         braces, or put it into the prefix, such as OPERATOR_PREFIX={{bull}}"
    )]
    DifferentSlots {
        /// The key prefix of one queue.
        first: String,
        /// The key prefix of the other.
        second: String,
    },
    /// The data of a job is larger than allowed; nothing was written.
    #[error(
        "{field}: the data has {bytes} bytes and at most {limit} are allowed; keep it elsewhere and pass a reference"
    )]
    TooLarge {
        /// Where the limit stands: the job's `opts.sizeLimit` or the setting.
        field: &'static str,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The script refused.
    #[error("job {id} {refusal}")]
    Refused {
        /// The job.
        id: String,
        /// Why.
        refusal: Refusal,
    },
    /// The queue is not as this needs it.
    #[error("queue {queue} {refusal}")]
    QueueRefused {
        /// The queue.
        queue: String,
        /// Why.
        refusal: QueueRefusal,
    },
    /// What stands in Redis is not what the wire says. Names the key, not its content.
    #[error("{what} is not readable: {problem}")]
    Corrupt {
        /// The key or field.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why a whole queue cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QueueRefusal {
    /// −1 of obliterate.
    #[error("was resumed meanwhile: obliterate it again")]
    NotPaused,
    /// −2 of obliterate.
    #[error("has active jobs: wait until they have finished, or use force; it is paused now")]
    ActiveJobs,
}

/// The wire's error codes: what they mean upstream is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// 1 of waiting for children: there is none to wait for.
    #[error("has no child that it could wait for")]
    NothingPending,
    /// 0 of remove: a worker holds it or a child below it.
    #[error("is held by a worker, or a child of it is: wait until it has finished")]
    Locked,
    /// −1: there is no job of that id.
    #[error("does not exist in this queue")]
    JobMissing,
    /// −2: the lock has expired or was released.
    #[error("is no longer locked: its claim has expired")]
    LockMissing,
    /// −3: the job is not in the state the command needs.
    #[error("is not in the state this needs")]
    WrongState,
    /// −4: children have not finished.
    #[error("has children that have not finished")]
    PendingChildren,
    /// −5: the parent does not exist.
    #[error("names a parent that does not exist")]
    ParentMissing,
    /// −6: another claim holds the lock.
    #[error("is held by another worker")]
    LockMismatch,
    /// −7: the job already has another parent.
    #[error("already has another parent")]
    ParentConflict,
    /// −8: the job is a scheduler's next iteration.
    #[error("is the next iteration of a scheduler: remove the scheduler instead")]
    BelongsToScheduler,
    /// −9: children have failed.
    #[error("has children that failed")]
    FailedChildren,
    /// −10: the scheduler's next job exists already.
    #[error("already exists: it is the next job of the scheduler; remove it or wait for it")]
    SchedulerJobExists,
    /// −11: the scheduler's next slots are all taken.
    #[error("has no free slot: the scheduler's next jobs all exist already")]
    SchedulerSlotsTaken,
    /// −12, ours: the job is to be cancelled, and what became of it does not count.
    #[error("was cancelled")]
    Cancelled,
    /// −101, ours: the job is not as the caller knows it any more.
    #[error("changed meanwhile: try again")]
    Changed,
    /// A code this version does not know.
    #[error("was refused with code {0}")]
    Unknown(i64),
}

impl Refusal {
    /// The refusal behind a script's negative number.
    #[must_use]
    pub fn from_code(code: i64) -> Self {
        match code {
            1 => Self::NothingPending,
            0 => Self::Locked,
            -1 => Self::JobMissing,
            -2 => Self::LockMissing,
            -3 => Self::WrongState,
            -4 => Self::PendingChildren,
            -5 => Self::ParentMissing,
            -6 => Self::LockMismatch,
            -7 => Self::ParentConflict,
            -8 => Self::BelongsToScheduler,
            -9 => Self::FailedChildren,
            -10 => Self::SchedulerJobExists,
            -11 => Self::SchedulerSlotsTaken,
            -12 => Self::Cancelled,
            -101 => Self::Changed,
            other => Self::Unknown(other),
        }
    }

    /// Whether it means that the caller does not own the job (any more).
    #[must_use]
    pub fn is_lost_ownership(self) -> bool {
        matches!(self, Self::JobMissing | Self::LockMissing | Self::WrongState | Self::LockMismatch)
    }
}
