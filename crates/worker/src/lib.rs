#![doc = include_str!("../README.md")]

mod run;

mod builder;
mod packs;
mod worker;

mod attempt;
mod handler;
mod host;

mod error;
mod health;
mod settings;

pub use builder::WorkerBuilder;
pub use error::WorkerError;
pub use packs::PackSettings;
pub use run::run;
pub use settings::Settings;
pub use worker::Worker;

pub use operator_core::{Failure, Job, JobId, JobOptions, Json, Keep, NewJob};
pub use operator_packs::{Context, Executor, Registry, Rehearsal, SystemSettings};
pub use operator_queue::worker::{Drained, RateLimit, Status, WorkerOptions};
pub use operator_telemetry::Exit;
