//! Development commands: `cargo xtask dev | test | conformance | bench | ci | tidy`.
//!
//! One match, a module per command. What two commands need (finding and installing programs, running steps) has a
//! module of its own; what the product does is left to the crates.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a development command talks to the person who typed it"
)]

mod bench;
mod ci;
mod conformance;
mod dev;
mod test;
mod tidy;

mod failure;
mod program;
mod provide;
mod step;
mod tally;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Development commands of Operator")]
enum Command {
    /// Runs everything on this machine with example jobs, and says where to look.
    Dev(dev::Options),
    /// Provides what the tests need and runs all of them.
    Test(test::Options),
    /// Compares our queues with BullMQ, operation by operation.
    Conformance(conformance::Options),
    /// Everything CI checks: format, lints, documentation, tidy, tests.
    Ci,
    /// Measures the queue beside its peers on one Redis.
    Bench(bench::Options),
    /// Checks what a compiler cannot: crate boundaries, headers, scripts, settings, links.
    Tidy(tidy::Options),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Dev(options) => dev::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Ci => ci::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Tidy(options) => tidy::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
