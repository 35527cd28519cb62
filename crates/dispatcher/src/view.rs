//! Jobs and queues as the API shows them: camelCase, times in ISO 8601, BullMQ's state beside BlackRoad's status.

mod event;
mod flow;
mod job;
mod pack;
mod queue;
mod scheduler;

pub(crate) use event::EventView;
pub(crate) use flow::{DependencyCountsView, DependencyView, FlowView};
pub(crate) use job::{JobView, public_options};
pub(crate) use pack::{JobTypeView, PackView};
pub(crate) use queue::{CountsView, QueueStatusView, QueueView, WorkerView};
pub(crate) use scheduler::SchedulerView;
