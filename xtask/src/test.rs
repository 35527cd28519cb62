//! `cargo xtask test`: provides what the tests need and runs all of them. Nothing is skipped silently.

use std::time::Instant;

use clap::Args;

use crate::failure::{Failure, Result};
use crate::program;
use crate::provide::{self, Need};
use crate::tally::{self, Tally};
use crate::workspace::cargo;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Passed to the test runner (a filter, for instance); documentation tests and examples are then left out
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// One way of running tests, and what came of it.
struct Part {
    name: &'static str,
    tally: Tally,
    content: bool,
    seconds: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    println!("What the tests need:");
    provide::provide(&[Need::Redis, Need::Postgres, Need::Node])?;
    provide::npm_packages()?;

    let mut parts = vec![part(runner_name(), |command| tests(command, &options.arguments))?];
    if options.arguments.is_empty() {
        parts.push(part("doc tests", |command| {
            command.args(["test", "--quiet", "--workspace", "--doc", "--no-fail-fast"])
        })?);
        parts.push(part("examples", |command| command.args(["build", "--quiet", "--workspace", "--examples"]))?);
    }
    summarise(&parts, options.arguments.is_empty())
}

fn runner_name() -> &'static str {
    if program::find(&["cargo-nextest"], &[]).is_some() { "nextest" } else { "cargo test" }
}

fn tests<'a>(command: &'a mut std::process::Command, arguments: &[String]) -> &'a mut std::process::Command {
    match runner_name() {
        "nextest" => command.args(["nextest", "run", "--workspace", "--no-fail-fast"]),
        _ => command.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]),
    }
    .args(arguments)
}

fn part(
    name: &'static str,
    arrange: impl FnOnce(&mut std::process::Command) -> &mut std::process::Command,
) -> Result<Part> {
    let mut command = cargo();
    arrange(&mut command);
    println!("\nRunning {}", program::line(&command));
    let start = Instant::now();
    let (tally, content) = tally::count(&mut command)?;
    Ok(Part { name, tally, content, seconds: start.elapsed().as_secs_f64() })
}

fn summarise(parts: &[Part], everything: bool) -> Result<()> {
    println!("\n{:<12} {:>8} {:>8} {:>8} {:>10}", "", "passed", "failed", "ignored", "time");
    let mut all = Tally::default();
    for Part { name, tally, content, seconds } in parts {
        let mark = if *content { "" } else { "  FAILED" };
        println!("{name:<12} {:>8} {:>8} {:>8} {seconds:>8.1} s{mark}", tally.passed, tally.failed, tally.skipped);
        all += *tally;
    }
    if !everything {
        println!("Left out, because arguments were given: doc tests, examples.");
    }
    println!("\n{} passed, {} failed, {} skipped", all.passed, all.failed, all.skipped);
    let steps: Vec<String> = parts.iter().filter(|part| !part.content).map(|part| part.name.to_owned()).collect();
    if steps.is_empty() { Ok(()) } else { Err(Failure::Steps { steps }) }
}
