//! Many seeds: their sequences are run, and those that differ are shrunk and written down.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use operator_testkit::BullMq;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::bench::{Bench, Flaw};
use crate::sequence::Sequence;
use crate::shrink::{Signature, shrink};
use crate::verdict::Verdict;

/// Which seeds are run, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The first seed; the others follow it.
    pub seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many operations each sequence has.
    pub steps: usize,
    /// What is compared with.
    pub against: BullMq,
    /// How many benches work side by side.
    pub benches: usize,
    /// Where short sequences that differ are written to.
    pub folder: PathBuf,
    /// Who stands beside BullMQ.
    pub subject: Subject,
}

/// Who is compared with BullMQ.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// Our queues.
    Ours,
    /// BullMQ once more: whatever differs is a fault of the run.
    Twin,
    /// Our queues with a flaw that must be found.
    Flawed(Flaw),
}

/// What came of many seeds.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// How many sequences were run.
    pub sequences: usize,
    /// How many operations they were together.
    pub steps: usize,
    /// How often each operation was done.
    pub operations: BTreeMap<String, usize>,
    /// How often each declared difference occurred.
    pub declared: BTreeMap<&'static str, usize>,
    /// The seeds that differ, by what differs.
    pub failures: BTreeMap<String, Failure>,
    /// Seeds whose run broke down twice, with what was said.
    pub broken: BTreeMap<u64, String>,
}

/// Seeds that differ in the same way.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// All of them.
    pub seeds: Vec<u64>,
    /// Where the shrunk sequence of the first one is.
    pub file: PathBuf,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its lines.
    pub lines: String,
}

/// Runs every seed of the plan.
///
/// # Panics
/// When servers cannot be started, or a file cannot be written.
pub async fn run(plan: &Plan) -> Report {
    let report = Arc::new(Mutex::new(Report::default()));
    let next = Arc::new(AtomicU64::new(0));
    let benches: Vec<_> = (0..plan.benches.max(1))
        .map(|_| tokio::spawn(work(plan.clone(), Arc::clone(&next), Arc::clone(&report))))
        .collect();
    for bench in benches {
        if let Err(error) = bench.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    std::mem::take(&mut *report.lock().await)
}

/// One bench, which takes the next seed as long as there is one.
async fn work(plan: Plan, next: Arc<AtomicU64>, report: Arc<Mutex<Report>>) {
    let mut bench = None;
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        if at >= plan.seeds {
            return;
        }
        let seed = plan.seed + at;
        // A run that breaks down takes its bench with it: a Node that hangs is as likely as a fault of the seed.
        for is_last in [false, true] {
            let fresh = match bench.take() {
                Some(bench) => bench,
                None => plan.bench().await,
            };
            let (plan, report_of_seed) = (plan.clone(), Arc::clone(&report));
            match tokio::spawn(async move { one(fresh, seed, &plan, &report_of_seed).await }).await {
                Ok(used) => {
                    bench = Some(used);
                    break;
                }
                Err(error) if is_last => {
                    report.lock().await.broken.insert(seed, said(error));
                }
                Err(_) => {}
            }
        }
    }
}

async fn one(mut bench: Bench, seed: u64, plan: &Plan, report: &Mutex<Report>) -> Bench {
    let (sequence, verdict) = bench.run_seed(seed, plan.steps).await;
    let signature = verdict.differences.first().map(|difference| Signature::of(difference).to_string());
    let is_new = {
        let mut report = report.lock().await;
        report.take_in(&sequence, &verdict);
        match signature.as_ref().map(|signature| report.failures.get_mut(signature)) {
            Some(Some(known)) => {
                known.seeds.push(seed);
                false
            }
            Some(None) => true,
            None => false,
        }
    };
    if let Some(signature) = signature.filter(|_| is_new) {
        let (mut short, verdict) = shrink(&mut bench, sequence, verdict).await;
        short.name = format!("seed {seed}, {signature}");
        let file = plan.folder.join(format!("seed-{seed}-bullmq-{}.jsonl", bench.version()));
        let lines = short.to_lines();
        let written = std::fs::create_dir_all(&plan.folder).and_then(|()| std::fs::write(&file, &lines));
        if let Err(error) = written {
            panic!("failed to write {}: {error}", file.display());
        }
        let failure = Failure { seeds: vec![seed], file, verdict, lines };
        report.lock().await.failures.entry(signature).or_insert(failure);
    }
    bench
}

impl Plan {
    async fn bench(&self) -> Bench {
        let bench = Bench::start(self.against).await;
        match self.subject {
            Subject::Ours => bench,
            Subject::Twin => bench.with_twin().await,
            Subject::Flawed(flaw) => bench.with_flaw(flaw),
        }
    }
}

impl Report {
    /// Whether every seed was run and nothing differed but what is declared.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.failures.is_empty() && self.broken.is_empty()
    }

    fn take_in(&mut self, sequence: &Sequence, verdict: &Verdict) {
        self.sequences += 1;
        self.steps += verdict.steps;
        for step in &sequence.steps {
            *self.operations.entry(step.operation.name()).or_default() += 1;
        }
        for (id, times) in &verdict.declared {
            *self.declared.entry(id).or_default() += times;
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (signature, failure) in &self.failures {
            writeln!(f, "FAIL {signature} (seeds {:?})", failure.seeds)?;
            writeln!(f, "{}\n{}{}\n", failure.file.display(), failure.lines, failure.verdict)?;
        }
        for (seed, said) in &self.broken {
            writeln!(f, "FAIL seed {seed} broke down twice: {said}")?;
        }
        let outcome = if self.is_equal() { "equal" } else { "NOT equal" };
        write!(f, "{} made-up sequences, {} steps: {outcome}", self.sequences, self.steps)
    }
}

fn said(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    text.unwrap_or_else(|| "nothing".to_owned())
}
