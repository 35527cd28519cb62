#![doc = include_str!("../README.md")]

mod redis;

pub mod keys;
pub mod scripts;
mod wire;

mod clock;
mod error;
mod queue;

mod add;
mod admin;
mod callback;
mod flow;
mod gather;
mod limits;
mod read;
mod schedulers;

pub mod catalogue;
pub mod events;

pub mod history;
pub mod registry;

pub mod worker;

pub use add::Added;
pub use admin::{CancelOptions, CancelStage, Cancellation, Expiry, MAX_STEP, Progress, RemoveOptions, RetryOptions};
pub use callback::CallbackError;
pub use clock::{Clock, now_ms};
pub use error::{QueueError, QueueRefusal, Refusal};
pub use flow::{AddedFlow, FlowProducer, MAX_FLOW_JOBS};
pub use queue::Queue;
pub use read::{
    Counts, Dependency, DependencyCounts, DependencyKind, DependencyPage, FlowNode, MAX_PAGE, MetricKind,
    MinuteMetrics, QueueMeta, Range, WorkerInfo, workers_of,
};
pub use redis::{Redis, RedisConfig, RedisError, Role};
pub use schedulers::{
    JobTemplate, PendingIteration, Repair, RepairOutcome, Repeat, Scheduler, SchedulerTemplate, Stopped,
};
