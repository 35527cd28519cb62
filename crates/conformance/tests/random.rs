//! Made-up sequences: many seeds against BullMQ, mixed fleets on the same keys, and flaws that must be found.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

use std::path::Path;

use operator_conformance::bench::Flaw;
use operator_conformance::mixed::MixedBench;
use operator_conformance::operation::Operation;
use operator_conformance::random::{Plan, Report, Subject, run};
use operator_testkit::BullMq;

async fn seeds(first: u64, seeds: u64, against: BullMq, subject: Subject) -> Report {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seeds-{first}-{against:?}"));
    run(&Plan { seed: first, seeds, steps: 100, against, benches: 1, folder, subject }).await
}

async fn all_are_equal(first: u64, count: u64, against: BullMq) {
    let report = seeds(first, count, against, Subject::Ours).await;
    assert!(report.is_equal(), "{report}");
    assert_eq!(report.sequences as u64, count);
}

#[tokio::test]
async fn seeds_1_to_50_are_equal_to_bullmq_6() {
    all_are_equal(1, 50, BullMq::V6).await;
}

#[tokio::test]
async fn seeds_51_to_100_are_equal_to_bullmq_6() {
    all_are_equal(51, 50, BullMq::V6).await;
}

#[tokio::test]
async fn seeds_101_to_150_are_equal_to_bullmq_6() {
    all_are_equal(101, 50, BullMq::V6).await;
}

#[tokio::test]
async fn seeds_151_to_200_are_equal_to_bullmq_6() {
    all_are_equal(151, 50, BullMq::V6).await;
}

#[tokio::test]
async fn seeds_1_to_20_are_equal_to_what_bullmq_5_can_do() {
    all_are_equal(1, 20, BullMq::V5).await;
}

#[tokio::test]
async fn bullmq_is_equal_to_itself() {
    let report = seeds(1, 5, BullMq::V6, Subject::Twin).await;
    assert!(report.is_equal(), "{report}");
}

/// A flow whose parent forgets its children.
fn forgotten_children(operation: &Operation) -> Option<Vec<String>> {
    let Operation::AddFlow(_) = operation else { return None };
    let flow = &operation.to_json()["flow"];
    let (queue, id) = (flow["queueName"].as_str()?, flow["opts"]["jobId"].as_str()?);
    Some(vec!["DEL".to_owned(), format!("bull:{queue}:{id}:dependencies")])
}

/// A queue that loses its marker when a job is added.
fn lost_markers(operation: &Operation) -> Option<Vec<String>> {
    let Operation::Add(add) = operation else { return None };
    Some(vec!["DEL".to_owned(), format!("bull:{}:marker", add.queue)])
}

/// The flaw is found, and shown by a sequence of at most so many lines that BullMQ alone passes.
async fn is_found(flaw: Flaw, operation: &str, lines: usize) {
    let report = seeds(1, 3, BullMq::V6, Subject::Flawed(flaw)).await;
    let failure = report.failures.values().next();
    let failure = failure.unwrap_or_else(|| panic!("no seed shows the flaw: {report}"));
    assert!(failure.verdict.differences[0].operation["op"] == operation, "{report}");
    assert!(failure.lines.lines().count() <= lines + 1, "shrunk to {} lines: {report}", failure.lines.lines().count());
    assert!(failure.file.exists(), "{report}");
}

#[tokio::test]
async fn children_that_are_forgotten_are_found_and_shown_by_a_short_sequence() {
    is_found(forgotten_children, "addFlow", 1).await;
}

#[tokio::test]
async fn a_marker_that_is_lost_is_found_and_shown_by_a_short_sequence() {
    is_found(lost_markers, "add", 1).await;
}

async fn a_mixed_fleet_is_legal(first: u64, seeds: u64, against: BullMq) {
    let mut bench = MixedBench::start(against).await;
    for seed in first..first + seeds {
        let verdict = bench.run_seed(seed, 100).await;
        assert!(verdict.is_legal(), "{verdict}");
        assert!(verdict.steps.values().all(|steps| *steps > 0) && verdict.steps.len() == 2, "{verdict}");
    }
}

#[tokio::test]
async fn queues_that_we_share_with_bullmq_6_stay_legal_and_come_to_an_end() {
    a_mixed_fleet_is_legal(1, 40, BullMq::V6).await;
}

#[tokio::test]
async fn queues_that_we_share_with_bullmq_5_stay_legal_and_come_to_an_end() {
    a_mixed_fleet_is_legal(101, 10, BullMq::V5).await;
}
