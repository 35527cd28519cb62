#![doc = include_str!("../README.md")]

mod dispatcher;
mod settings;
mod start;

mod routes;

mod api;
mod app;
mod catalogue;
mod input;
mod openapi;
mod problem;
mod view;

mod edge;
mod gauges;
mod key;

mod archive;

pub use dispatcher::Dispatcher;
pub use settings::{ApiSettings, Settings, UnknownJobs};
pub use start::StartError;
