//! The binary `operator-worker`: its command line. What it does is the library's [`operator_worker::run`].

use clap::Parser;
use operator_worker::{Exit, Settings};

/// Runs jobs from queues shared with BullMQ.
#[derive(Parser)]
#[command(name = "operator-worker", version, after_help = Settings::help())]
struct Arguments {}

fn main() -> Exit {
    Arguments::parse();
    operator_worker::run("operator-worker", |_| {})
}
