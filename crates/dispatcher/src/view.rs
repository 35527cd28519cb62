//! Jobs and queues as the API shows them: camelCase, times in ISO 8601, BullMQ's state beside BlackRoad's status.

mod job;
mod queue;

pub(crate) use job::{JobView, public_options};
pub(crate) use queue::{CountsView, QueueStatusView, QueueView};
