//! Rounds put together, as a table for people or a document for machines.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::about::About;
use crate::figures::Figures;
use crate::peers::Peer;
use crate::targets::Verdict;

/// The rounds of one workload with one peer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) jobs: usize,
    pub(crate) rounds: usize,
    pub(crate) median: Figures,
    /// Half the distance between the fastest and the slowest round, as a share of the median.
    pub(crate) spread: f64,
    /// The rounds themselves, in their order.
    pub(crate) runs: Vec<Figures>,
}

/// The middle value; the mean of both middle ones when their number is even.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    values.get(low).zip(values.get(high)).map_or(f64::NAN, |(low, high)| f64::midpoint(*low, *high))
}

/// Half the distance between the least and the largest value.
pub(crate) fn half_spread(values: &[f64]) -> f64 {
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(l, m), value| (l.min(*value), m.max(*value)));
    if values.is_empty() { 0.0 } else { (most - least) / 2.0 }
}

impl Summary {
    pub(crate) fn of(jobs: usize, rounds: &[Figures]) -> Self {
        let median = |of: fn(&Figures) -> f64| median(rounds.iter().map(of).collect());
        let waits = |pick: fn((u64, u64)) -> u64| {
            let waits: Vec<f64> =
                rounds.iter().filter_map(|round| round.wait_us.map(|waits| pick(waits) as f64)).collect();
            (!waits.is_empty()).then(|| self::median(waits) as u64)
        };
        let main: Vec<f64> = rounds.iter().map(main_figure).collect();
        Self {
            jobs,
            rounds: rounds.len(),
            spread: half_spread(&main) / median(main_figure),
            runs: rounds.to_vec(),
            median: Figures {
                jobs_per_second: median(|round| round.jobs_per_second),
                commands_per_job: median(|round| round.commands_per_job),
                redis_us_per_job: median(|round| round.redis_us_per_job),
                peer_us_per_job: median(|round| round.peer_us_per_job),
                wire_bytes_per_job: median(|round| round.wire_bytes_per_job),
                peer_mib: median(|round| round.peer_mib),
                redis_bytes_per_job: rounds.last().and_then(|round| round.redis_bytes_per_job),
                calls: rounds.last().map_or_else(BTreeMap::new, |round| round.calls.clone()),
                wait_us: waits(|waits| waits.0).zip(waits(|waits| waits.1)),
            },
        }
    }
}

/// What a workload is about: its speed, or where there are waits the median wait.
fn main_figure(round: &Figures) -> f64 {
    round.wait_us.map_or(round.jobs_per_second, |(median, _)| median as f64)
}

/// What was measured, by workload and peer.
pub(crate) type Results = BTreeMap<(&'static str, Peer), Summary>;

pub(crate) fn print_table(order: &[&'static str], results: &Results, verdicts: &[Verdict], about: &About) {
    println!("{about}\n");
    println!(
        "| {:<34} | {:<15} | {:>9} | {:>5} | {:>8} | {:>9} | {:>9} | {:>7} | {:>6} | {:>7} | {:>15} |",
        "workload", "peer", "jobs/s", "±", "cmds/job", "redis µs", "peer µs", "bytes", "MiB", "B/job", "p50 / p99 µs"
    );
    println!(
        "|{:-<36}|{:-<17}|{:->11}|{:->7}|{:->10}|{:->11}|{:->11}|{:->9}|{:->8}|{:->9}|{:->17}|",
        "", "", "", "", "", "", "", "", "", "", ""
    );
    for workload in order {
        for peer in Peer::ALL {
            let Some(Summary { median, spread, .. }) = results.get(&(*workload, peer)) else { continue };
            let stored = median.redis_bytes_per_job.map_or(String::new(), |bytes| bytes.to_string());
            let waits = median.wait_us.map_or(String::new(), |(p50, p99)| format!("{p50} / {p99}"));
            println!(
                "| {workload:<34} | {:<15} | {:>9.0} | {:>4.0}% | {:>8.2} | {:>9.1} | {:>9.1} | {:>7.0} | {:>6.0} | {stored:>7} | {waits:>15} |",
                peer.name(),
                median.jobs_per_second,
                spread * 100.0,
                median.commands_per_job,
                median.redis_us_per_job,
                median.peer_us_per_job,
                median.wire_bytes_per_job,
                median.peer_mib,
            );
        }
    }
    if !verdicts.is_empty() {
        println!("\nTargets:");
    }
    for verdict in verdicts {
        println!("{}", verdict.line());
    }
}

pub(crate) fn print_json(order: &[&'static str], results: &Results, verdicts: &[Verdict], about: &About) {
    let measured: Vec<_> = order
        .iter()
        .flat_map(|workload| Peer::ALL.map(|peer| (*workload, peer)))
        .filter_map(|key| Some((key, results.get(&key)?)))
        .map(|((workload, peer), summary)| json!({ "workload": workload, "peer": peer.name(), "summary": summary }))
        .collect();
    let document = json!({ "about": about, "results": measured, "targets": verdicts });
    println!("{document:#}");
}
