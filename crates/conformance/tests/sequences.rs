//! Every sequence of the repository, against both releases of BullMQ; and a run that must find what is planted.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

use std::collections::BTreeSet;

use operator_conformance::differences::DIFFERENCES;
use operator_conformance::{Bench, Sequence};
use operator_testkit::BullMq;

async fn run_all(release: BullMq) -> BTreeSet<&'static str> {
    let mut bench = Bench::start(release).await;
    let version = bench.version();
    let mut declared = BTreeSet::new();
    let mut failed = Vec::new();
    for sequence in Sequence::read_all().unwrap() {
        if sequence.against.contains(&version) {
            let verdict = bench.run(&sequence).await;
            declared.extend(verdict.declared.keys().copied());
            if !verdict.is_equal() {
                failed.push(verdict.to_string());
            }
        }
    }
    assert!(failed.is_empty(), "{} sequences differ from BullMQ {version}:\n{}", failed.len(), failed.join("\n\n"));
    declared
}

#[tokio::test]
async fn all_sequences_are_equal_to_bullmq_6_and_show_every_declared_difference() {
    let declared = run_all(BullMq::V6).await;
    let missing: Vec<_> = DIFFERENCES.iter().map(|known| known.id).filter(|id| !declared.contains(id)).collect();
    assert!(missing.is_empty(), "declared, but never seen: {missing:?}");
}

#[tokio::test]
async fn all_sequences_that_bullmq_5_can_do_are_equal_to_it() {
    run_all(BullMq::V5).await;
}
