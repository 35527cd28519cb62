//! What a request carries, checked: names and ids in its path, parameters, and jobs in its body. Everything that cannot
//! be used becomes a problem that names it.

mod body;
mod cursor;
mod params;

pub(crate) use body::{Body, jobs};
pub(crate) use cursor::{Offset, Place};
pub(crate) use params::{JobPath, Limit, Params, QueuePath};
