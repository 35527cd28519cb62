//! What is wanted, per workload: commands per job, and ratios to the peers in the same run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::peers::Peer;
use crate::report::Summary;

/// The targets of one workload; none where nothing is stated.
struct Target {
    workload: &'static str,
    commands: Option<f64>,
    redis_vs_bullmq: Option<f64>,
    rate_vs_bullmq: Option<f64>,
    rate_vs_official: Option<f64>,
    wait_vs_peers: Option<f64>,
}

const fn throughput(workload: &'static str, commands: f64, redis: f64, bullmq: f64, official: f64) -> Target {
    Target {
        workload,
        commands: Some(commands),
        redis_vs_bullmq: Some(redis),
        rate_vs_bullmq: Some(bullmq),
        rate_vs_official: Some(official),
        wait_vs_peers: None,
    }
}

const TARGETS: &[Target] = &[
    throughput("bulk add of 1000", 3.2, 0.33, 3.5, 3.0),
    throughput("add, 100 in flight", 4.5, 0.45, 2.0, 1.6),
    throughput("process, concurrency 100", 8.5, 0.33, 3.0, 2.5),
    throughput("process, concurrency 10", 11.0, 0.50, 2.0, 1.7),
    throughput("process, concurrency 1", 18.0, 0.90, 1.3, 1.1),
    Target {
        workload: "pick-up latency",
        commands: None,
        redis_vs_bullmq: None,
        rate_vs_bullmq: None,
        rate_vs_official: None,
        wait_vs_peers: Some(1.0),
    },
];

/// How far a ratio of two noisy figures may be from its target and still be called met: the sum of both spreads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    workload: &'static str,
    what: String,
    wanted: String,
    is: f64,
    pub(crate) is_met: bool,
}

/// What became of every target whose figures were measured.
pub(crate) fn verdicts(results: &BTreeMap<(&'static str, Peer), Summary>) -> Vec<Verdict> {
    TARGETS.iter().flat_map(|target| of_target(target, results)).collect()
}

fn of_target(target: &Target, results: &BTreeMap<(&'static str, Peer), Summary>) -> Vec<Verdict> {
    let result = |peer| results.get(&(target.workload, peer));
    let Some(ours) = result(Peer::Operator) else { return Vec::new() };
    let mut verdicts = Vec::new();
    let mut judge = |what: &str, wanted: f64, is_most: bool, is: f64, noise: f64| {
        let is_met = if is_most { is <= wanted * (1.0 + noise) } else { is >= wanted * (1.0 - noise) };
        let sign = if is_most { "≤" } else { "≥" };
        verdicts.push(Verdict {
            workload: target.workload,
            what: what.to_owned(),
            wanted: format!("{sign} {wanted}"),
            is,
            is_met,
        });
    };
    if let Some(wanted) = target.commands {
        judge("commands per job", wanted, true, ours.median.commands_per_job, 0.0);
    }
    if let (Some(wanted), Some(peer)) = (target.redis_vs_bullmq, result(Peer::BullMq)) {
        let ratio = ours.median.redis_us_per_job / peer.median.redis_us_per_job;
        judge("Redis CPU per job vs bullmq", wanted, true, ratio, ours.noise + peer.noise);
    }
    for (wanted, peer) in [(target.rate_vs_bullmq, Peer::BullMq), (target.rate_vs_official, Peer::BullMqOfficial)] {
        if let (Some(wanted), Some(of_peer)) = (wanted, result(peer)) {
            let ratio = ours.median.jobs_per_second / of_peer.median.jobs_per_second;
            judge(&format!("jobs/s vs {}", peer.name()), wanted, false, ratio, ours.noise + of_peer.noise);
        }
    }
    if let (Some(wanted), Some((p50, p99))) = (target.wait_vs_peers, ours.median.wait_us) {
        for peer in [Peer::BullMq, Peer::BullMqOfficial] {
            let Some(of_peer) = result(peer) else { continue };
            let Some((peer_p50, peer_p99)) = of_peer.median.wait_us else { continue };
            let noise = ours.noise + of_peer.noise;
            judge(&format!("p50 vs {}", peer.name()), wanted, true, p50 as f64 / peer_p50 as f64, noise);
            judge(&format!("p99 vs {}", peer.name()), wanted, true, p99 as f64 / peer_p99 as f64, noise);
        }
    }
    verdicts
}

impl Verdict {
    /// One line of a table.
    pub(crate) fn line(&self) -> String {
        let mark = if self.is_met { "met   " } else { "MISSED" };
        format!("  {mark}  {:<28} {:<32} {:>8.2}  wanted {}", self.workload, self.what, self.is, self.wanted)
    }
}
