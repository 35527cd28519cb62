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
mod flow;
mod limits;
mod read;

pub mod history;
pub mod registry;

pub mod worker;

pub use admin::RetryOptions;
pub use clock::{Clock, now_ms};
pub use error::{QueueError, Refusal};
pub use flow::{AddedFlow, FlowProducer};
pub use queue::Queue;
pub use read::{Counts, MAX_PAGE, Range, WorkerInfo};
pub use redis::{Redis, RedisConfig, RedisError, Role};
