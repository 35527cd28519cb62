//! Jobs that programs run: the protocol, its bounds, secrets, ends.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod attacks;
mod bench;
mod ends;
mod hello;
mod once;
mod persistent;
mod secrets;
