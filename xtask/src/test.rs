//! `cargo xtask test`: provides what the tests need and runs all of them. Nothing is skipped silently.

use std::ffi::OsStr;
use std::process::Command;
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
    let found = provide::provide(&[Need::Redis, Need::Valkey, Need::Postgres, Need::Node])?;
    provide::npm_packages()?;

    // Programs that lie outside PATH are found by the tests all the same.
    let path = program::path_with(&found);
    let mut parts = vec![tests(&path, &options.arguments)?];
    if options.arguments.is_empty() {
        let mut documentation = cargo();
        documentation.args(["test", "--workspace", "--doc", "--no-fail-fast"]).env("PATH", &path);
        parts.push(part("doc tests", &mut documentation)?);
        parts.push(part("examples", cargo().args(["build", "--workspace", "--examples"]))?);
    }
    summarise(&parts, options.arguments.is_empty())
}

fn tests(path: &OsStr, arguments: &[String]) -> Result<Part> {
    let (name, runner): (_, &[&str]) = match program::find(&["cargo-nextest"], &[]) {
        Some(_) => ("nextest", &["nextest", "run"]),
        None => ("cargo test", &["test", "--all-targets"]),
    };
    let mut command = cargo();
    command.args(runner).arg("--no-fail-fast").env("PATH", path);
    // Arguments may choose packages; then only those are built.
    let chosen = arguments.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    if !chosen {
        command.arg("--workspace");
    }
    part(name, command.args(arguments))
}

fn part(name: &'static str, command: &mut Command) -> Result<Part> {
    println!("\nRunning {}", program::line(command));
    let start = Instant::now();
    let (tally, content) = tally::count(command)?;
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
