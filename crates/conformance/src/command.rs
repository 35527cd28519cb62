//! The command line: which sequences run against which BullMQ, and how the outcome is told.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to the person who typed it")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use operator_testkit::BullMq;
use serde_json::json;

use crate::answer::Answer;
use crate::bench::Bench;
use crate::differences::DIFFERENCES;
use crate::sequence::{Sequence, Step};
use crate::verdict::Verdict;

/// Compares our queues with BullMQ, operation by operation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask conformance")]
pub struct Options {
    /// Runs this file instead of all of interop/sequences
    #[arg(long, value_name = "FILE")]
    ops: Vec<PathBuf>,
    /// The major version of BullMQ to compare with; both unless given
    #[arg(long, value_name = "6|5")]
    against: Option<u8>,
    /// Prints one JSON object: the verdict of every sequence with its first difference
    #[arg(long)]
    json: bool,
    /// Prints every operation with both answers
    #[arg(long, conflicts_with = "json")]
    trace: bool,
    /// Goes on after a difference
    #[arg(long)]
    go_on: bool,
}

/// Runs what the options say. The exit code is 0 when nothing differed, 1 when something did, 2 when it could not run.
pub async fn run(options: &Options) -> ExitCode {
    let sequences = match read(options) {
        Ok(sequences) => sequences,
        Err(error) => {
            eprintln!("conformance: {error}");
            return ExitCode::from(2);
        }
    };
    let releases = [(6, BullMq::V6), (5, BullMq::V5)];
    let mut verdicts: BTreeMap<String, Vec<Verdict>> = BTreeMap::new();
    for (version, release) in releases {
        if options.against.is_some_and(|wanted| wanted != version) {
            continue;
        }
        let mut bench = Bench::start(release).await;
        if options.trace {
            bench = bench.with_trace(tell);
        }
        if options.go_on {
            bench = bench.going_on();
        }
        let found = verdicts.entry(format!("bullmq {version}")).or_default();
        for sequence in sequences.iter().filter(|sequence| sequence.against.contains(&version)) {
            let verdict = bench.run(sequence).await;
            if !options.json {
                println!("{} BullMQ {version}: {verdict}", if verdict.is_equal() { "ok  " } else { "FAIL" });
            }
            found.push(verdict);
        }
    }
    conclude(options, &verdicts)
}

fn tell(step: &Step, node: &Answer, ours: &Answer) {
    println!("{:4} {}", step.line, step.operation.to_json());
    println!("       BullMQ: {node:?}");
    if !node.agrees(ours) {
        println!("       ours:   {ours:?}");
    }
}

fn read(options: &Options) -> Result<Vec<Sequence>, crate::sequence::UnreadableSequence> {
    if options.ops.is_empty() {
        return Sequence::read_all();
    }
    options.ops.iter().map(|path| Sequence::read(path)).collect()
}

fn conclude(options: &Options, verdicts: &BTreeMap<String, Vec<Verdict>>) -> ExitCode {
    let all = || verdicts.values().flatten();
    let occurred = |id: &str| all().any(|verdict| verdict.declared.contains_key(id));
    // Only a run over all sequences can tell that a difference is no more.
    let is_whole = options.ops.is_empty() && options.against.is_none();
    let missing: Vec<&str> =
        DIFFERENCES.iter().map(|difference| difference.id).filter(|id| is_whole && !occurred(id)).collect();
    let is_equal = missing.is_empty() && all().all(Verdict::is_equal);
    if options.json {
        println!("{}", json!({ "equal": is_equal, "missingDifferences": missing, "verdicts": verdicts }));
    } else {
        for id in &missing {
            println!(
                "FAIL the declared difference `{id}` did not occur: remove it from the table, or show it in a sequence"
            );
        }
        let (steps, sequences) = (all().map(|verdict| verdict.steps).sum::<usize>(), all().count());
        println!("{sequences} sequences, {steps} steps: {}", if is_equal { "equal" } else { "NOT equal" });
    }
    if is_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
