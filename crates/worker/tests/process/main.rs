//! The worker process as others see it: BullMQ in Node, the system's signals, Redis that fails, health checks.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod running;

mod bad_start;
mod cancel;
mod death;
mod health;
mod idle;
mod jobs;
mod limits;
mod outage;
mod signals;
mod topologies;
mod whole;
