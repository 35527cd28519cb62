//! What a request carries, checked: names and ids in its path, parameters, and jobs in its body. Everything that cannot
//! be used becomes a problem that names it.

mod body;
mod cursor;
mod documents;
mod flows;
mod jobs;
mod params;
mod schedulers;

pub(crate) use body::{AnyJson, Body, JsonBody, OptionalJson};
pub(crate) use cursor::{Offset, Place};
pub(crate) use documents::{FlowOrFlows, JobOrJobs, NewSchedulerDocument};
pub(crate) use flows::flows;
pub(crate) use jobs::{MAX_ERRORS, jobs};
pub(crate) use params::{CallbackPath, JobPath, Limit, NamedPath, Order, Params, QueuePath};
pub(crate) use schedulers::scheduler;
