//! The command line: which sequences run against which BullMQ, and how the outcome is told.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to the person who typed it")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};
use operator_testkit::BullMq;
use serde_json::json;

use crate::answer::Answer;
use crate::bench::Bench;
use crate::differences::DIFFERENCES;
use crate::mixed::MixedBench;
use crate::random::{self, Plan, Report, Subject};
use crate::sequence::{Sequence, Step};
use crate::verdict::Verdict;

const RELEASES: [(u8, BullMq); 2] = [(6, BullMq::V6), (5, BullMq::V5)];

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
    #[command(flatten)]
    made_up: MadeUp,
}

/// Sequences that are made up from seeds.
#[derive(Debug, Args)]
struct MadeUp {
    /// Makes up a sequence from this seed instead of reading one
    #[arg(long, conflicts_with = "ops")]
    seed: Option<u64>,
    /// How many operations a made-up sequence has
    #[arg(long, default_value_t = 100, requires = "seed")]
    steps: usize,
    /// How many seeds are run, from the first one on
    #[arg(long, default_value_t = 1, requires = "seed")]
    seeds: u64,
    /// How many benches work side by side
    #[arg(long, default_value_t = 2, requires = "seed")]
    benches: usize,
    /// Where shrunk sequences that differ are written to
    #[arg(long, value_name = "FOLDER", default_value = "target/conformance", requires = "seed")]
    failures: PathBuf,
    /// Compares BullMQ with itself, which shows faults of the run
    #[arg(long, requires = "seed")]
    twin: bool,
    /// Lets both work on the same keys instead, checks what must hold in any case, and drains the queues in the end
    #[arg(long, requires = "seed", conflicts_with = "twin")]
    mixed: bool,
    /// How many of a hundred operations of a mixed sequence are ours
    #[arg(long, default_value_t = 50, requires = "mixed")]
    our_share: usize,
}

/// Runs what the options say. The exit code is 0 when nothing differed, 1 when something did, 2 when it could not run.
pub async fn run(options: &Options) -> ExitCode {
    if let Some(seed) = options.made_up.seed {
        return run_seeds(options, seed).await;
    }
    let sequences = match read(options) {
        Ok(sequences) => sequences,
        Err(error) => {
            eprintln!("conformance: {error}");
            return ExitCode::from(2);
        }
    };
    let mut verdicts: BTreeMap<String, Vec<Verdict>> = BTreeMap::new();
    for (version, release) in RELEASES {
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

async fn run_seeds(options: &Options, seed: u64) -> ExitCode {
    let MadeUp { steps, seeds, benches, failures, twin, .. } = &options.made_up;
    let subject = if *twin { Subject::Twin } else { Subject::Ours };
    let (mut reports, mut is_legal) = (BTreeMap::new(), true);
    for (version, against) in RELEASES {
        if options.against.is_some_and(|wanted| wanted != version) {
            continue;
        }
        if options.made_up.mixed {
            is_legal &= run_mixed(options, seed, against).await;
            continue;
        }
        let plan =
            Plan { seed, seeds: *seeds, steps: *steps, against, benches: *benches, folder: failures.clone(), subject };
        let report = random::run(&plan).await;
        if !options.json {
            println!("BullMQ {version}: {report}");
        }
        reports.insert(format!("bullmq {version}"), report);
    }
    if options.json {
        println!("{}", json!(reports));
    }
    if is_legal && reports.values().all(Report::is_equal) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run_mixed(options: &Options, seed: u64, against: BullMq) -> bool {
    let MadeUp { steps, seeds, our_share, .. } = options.made_up;
    let mut bench = MixedBench::start(against).await.with_our_share(our_share);
    let mut is_legal = true;
    for seed in seed..seed + seeds {
        let verdict = bench.run_seed(seed, steps).await;
        is_legal &= verdict.is_legal();
        if options.json {
            println!("{}", json!(verdict));
        } else {
            println!("{} {verdict}", if verdict.is_legal() { "ok  " } else { "FAIL" });
        }
    }
    is_legal
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
