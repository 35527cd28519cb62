//! The HTTP routes by which others watch a process, and the small server for processes that serve nothing else.
//!
//! What alive and ready *mean* is left to the process: it gives [`HealthState`] its checks.

mod routes;
mod server;
mod state;

pub use routes::routes;
pub use server::{HealthServer, serve};
pub use state::{HealthState, READINESS_TIMEOUT, Verdict};
