//! How jobs, options, outcomes and records are spelled on the wire.

pub(crate) mod job;
pub(crate) mod new_job;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod record;
