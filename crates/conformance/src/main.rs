//! `cargo run -p operator-conformance`: compares our queues with BullMQ and says whether they are the same.

use std::process::ExitCode;

use clap::Parser;
use operator_conformance::command::{Options, run};

#[tokio::main]
async fn main() -> ExitCode {
    run(&Options::parse()).await
}
