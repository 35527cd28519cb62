#![doc = include_str!("../README.md")]

pub mod context;
pub mod executor;
pub mod host;
pub mod registry;
pub mod rehearsal;

pub mod library;
pub mod manifest;
pub mod provide;

#[cfg(target_os = "linux")]
pub mod command;
#[cfg(target_os = "linux")]
pub mod sandbox;
pub mod secrets;
pub mod service;

pub mod system;

mod excerpt;
mod outbound;

pub use context::Context;
pub use executor::Executor;
pub use host::{JobHost, Move};
pub use registry::Registry;
pub use rehearsal::Rehearsal;
pub use system::SystemSettings;
