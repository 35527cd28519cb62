//! What is wanted, per workload: commands per job, and ratios to the peers in the same run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::figures::Figures;
use crate::peers::Peer;
use crate::report::{Summary, half_spread, median};

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

/// The most that chance is allowed to have done to a ratio. A run that is noisier is to be repeated, not believed.
const MOST_NOISE: f64 = 0.1;

/// A figure of ours over that of a peer. Both ran within seconds in every round, so the ratio is taken in each: what
/// slows the machine down for a while meets both.
struct Ratio {
    median: f64,
    /// How far chance may have moved the median, as a share of it: half the distance between the least and the largest
    /// ratio, over the root of their number.
    noise: f64,
}

impl Ratio {
    fn of(ours: &Summary, peer: &Summary, figure: impl Fn(&Figures) -> f64) -> Self {
        let rounds = ours.runs.iter().zip(&peer.runs);
        let ratios: Vec<f64> = rounds.map(|(ours, peer)| figure(ours) / figure(peer)).collect();
        let (spread, count) = (half_spread(&ratios), ratios.len() as f64);
        let median = median(ratios);
        Self { median, noise: (spread / count.sqrt() / median).min(MOST_NOISE) }
    }
}

/// A target beside what was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    workload: &'static str,
    what: String,
    wanted: String,
    is: f64,
    /// By which share of it the figure may miss its target and still be called met.
    noise: f64,
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
    let mut judge = |what: &str, wanted: f64, is_most: bool, Ratio { median: is, noise }: Ratio| {
        let is_met = if is_most { is <= wanted * (1.0 + noise) } else { is >= wanted * (1.0 - noise) };
        let sign = if is_most { "≤" } else { "≥" };
        verdicts.push(Verdict {
            workload: target.workload,
            what: what.to_owned(),
            wanted: format!("{sign} {wanted}"),
            is,
            noise,
            is_met,
        });
    };
    if let Some(wanted) = target.commands {
        judge("commands per job", wanted, true, Ratio { median: ours.median.commands_per_job, noise: 0.0 });
    }
    if let (Some(wanted), Some(peer)) = (target.redis_vs_bullmq, result(Peer::BullMq)) {
        let ratio = Ratio::of(ours, peer, |figures| figures.redis_us_per_job);
        judge("Redis CPU per job vs bullmq", wanted, true, ratio);
    }
    for (wanted, peer) in [(target.rate_vs_bullmq, Peer::BullMq), (target.rate_vs_official, Peer::BullMqOfficial)] {
        if let (Some(wanted), Some(of_peer)) = (wanted, result(peer)) {
            let ratio = Ratio::of(ours, of_peer, |figures| figures.jobs_per_second);
            judge(&format!("jobs/s vs {}", peer.name()), wanted, false, ratio);
        }
    }
    if let Some(wanted) = target.wait_vs_peers {
        for peer in [Peer::BullMq, Peer::BullMqOfficial] {
            let Some(of_peer) = result(peer) else { continue };
            let wait = |pick: fn((u64, u64)) -> u64| {
                move |figures: &Figures| figures.wait_us.map_or(0.0, |waits| pick(waits) as f64)
            };
            judge(&format!("p50 vs {}", peer.name()), wanted, true, Ratio::of(ours, of_peer, wait(|waits| waits.0)));
            judge(&format!("p99 vs {}", peer.name()), wanted, true, Ratio::of(ours, of_peer, wait(|waits| waits.1)));
        }
    }
    verdicts
}

impl Verdict {
    /// One line of a table.
    pub(crate) fn line(&self) -> String {
        let mark = if self.is_met { "met   " } else { "MISSED" };
        let noise = self.noise * 100.0;
        format!(
            "  {mark}  {:<28} {:<32} {:>8.2} ± {noise:>2.0}%  wanted {}",
            self.workload, self.what, self.is, self.wanted
        )
    }
}
