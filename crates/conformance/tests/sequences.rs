//! Every sequence of the repository, against both releases of BullMQ; and a run that must find what is planted.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

use std::collections::BTreeSet;

use operator_conformance::differences::DIFFERENCES;
use operator_conformance::verdict::Place;
use operator_conformance::{Bench, Sequence};
use operator_testkit::BullMq;
use serde_json::json;

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
async fn what_differs_is_found_where_it_begins() {
    let mut bench = Bench::start(BullMq::V6).await;
    let planted: [(&[&str], &str); 5] = [
        (&["HSET", "bull:q:a", "delay", "1"], "bull:q:a"),
        (&["XADD", "bull:q:events", "*", "event", "more"], "bull:q:events"),
        (&["RPUSH", "bull:q:wait", "b"], "bull:q:wait"),
        (&["PEXPIRE", "bull:q:meta", "100000"], "bull:q:meta"),
        (&["DEL", "bull:q:marker"], "bull:q:marker"),
    ];
    for (change, key) in planted {
        let add = json!({ "op": "add", "queue": "q", "name": "a", "opts": { "jobId": "a" } });
        let lines = format!("{add}\n{}", json!({ "op": "raw", "command": change, "database": 1 }));
        let verdict = bench.run(&Sequence::parse("planted", &lines).unwrap()).await;
        let found = &verdict.differences[0];
        assert_eq!((found.line, found.places.len()), (2, 1), "{verdict}");
        assert_eq!(found.places[0].place, Place::Key(key.to_owned()), "{verdict}");
    }
}

#[tokio::test]
async fn all_sequences_that_bullmq_5_can_do_are_equal_to_it() {
    run_all(BullMq::V5).await;
}
