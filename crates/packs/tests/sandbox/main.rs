//! Programs in their secure execution contexts: what they can do, and attacks that must come to nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod attacks;
mod context;
mod endings;
mod harness;
mod network;
