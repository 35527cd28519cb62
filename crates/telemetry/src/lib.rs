#![doc = include_str!("../README.md")]

mod env;
mod exit;
mod init;
mod logs;
mod settings;
mod traces;

pub mod health;
pub mod listen;
pub mod metrics;
pub mod names;
mod process;
pub mod shutdown;

pub use self::metrics::Metrics;
pub use env::ProcessEnv;
pub use exit::Exit;
pub use health::{HealthServer, HealthState};
pub use init::{Telemetry, TelemetryError, init};
pub use listen::{ListenError, ListenSettings};
pub use logs::{LogFormat, LogStream};
pub use settings::{Identity, TelemetrySettings, log_older_names};
pub use shutdown::Signals;
pub use traces::traceparent;
