#![doc = include_str!("../README.md")]

pub mod ids;
pub mod json;

pub mod backoff;
pub mod keep;
pub mod options;
pub mod priority;

pub mod callback;
pub mod flow;
pub mod job;
pub mod state;

pub mod failure;
pub mod record;

pub mod schedule;

pub mod pack;

pub mod settings;
pub mod time;

pub use backoff::{Backoff, BackoffKind};
pub use callback::{Callback, CallbackAnswer, CallbackFailure};
pub use failure::{Failure, FailureKind};
pub use flow::FlowJob;
pub use ids::{InvalidId, JobId, QueueName};
pub use job::{Job, NewJob};
pub use json::Json;
pub use keep::{Keep, KeepLimits};
pub use options::{Deduplication, InvalidOptions, JobOptions, ParentRef};
pub use priority::Priority;
pub use record::{JobRecord, Outcome};
pub use state::{JobState, JobStatus};
