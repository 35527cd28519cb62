//! A whole run: one Redis, every peer in turn, several rounds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use operator_testkit::{RedisClient, RedisServer};

use crate::Arguments;
use crate::about::About;
use crate::far;
use crate::figures::Figures;
use crate::peers::{Peer, Running};
use crate::report::{Results, Summary, print_json, print_table};
use crate::targets;
use crate::workload::{self, Kind, When, Workload};

/// Rounds of a full run, and of a quick one.
const ROUNDS: (usize, usize) = (5, 3);

/// The rate of the latency workload until BullMQ's own speed is known, in jobs a second.
const DEFAULT_RATE: f64 = 1000.0;

/// Which share of BullMQ's speed the latency workload runs at.
const STEADY_SHARE: f64 = 0.3;

pub(crate) async fn run(arguments: &Arguments) -> ExitCode {
    let aof = arguments.aof.as_str();
    let server = RedisServer::builder()
        .set("appendonly", if aof == "no" { "no" } else { "yes" })
        .set("appendfsync", if aof == "no" { "everysec" } else { aof })
        // A rewrite would meet whichever peer is at work.
        .set("auto-aof-rewrite-percentage", "0")
        .start()
        .await;
    let redis = server.client().await;
    let workloads = chosen(arguments);
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { ROUNDS.1 } else { ROUNDS.0 });
    let mut results = Results::new();
    let mut rate = DEFAULT_RATE;
    for workload in &workloads {
        let jobs = if arguments.quick { workload.jobs.1 } else { workload.jobs.0 };
        let measured = rounds_of(workload, jobs, rounds, arguments, &server, &redis, rate).await;
        for (peer, figures) in measured {
            let jobs = workload::jobs_for(peer, workload, jobs);
            results.insert((workload.name, peer), Summary::of(jobs, &figures));
        }
        if let Some(bullmq) = results.get(&("process, concurrency 10", Peer::BullMq)) {
            rate = bullmq.median.jobs_per_second * STEADY_SHARE;
        }
    }
    let order: Vec<&'static str> = workloads.iter().map(|workload| workload.name).collect();
    let verdicts = targets::verdicts(&results);
    let about = About::of(&redis, arguments, rounds, rate).await;
    let print = if arguments.json { print_json } else { print_table };
    print(&order, &results, &verdicts, &about);
    if verdicts.iter().all(|verdict| verdict.is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn chosen(arguments: &Arguments) -> Vec<Workload> {
    let latest = match (arguments.quick, arguments.full) {
        (true, _) => When::Quick,
        (_, true) => When::Full,
        _ => When::Usually,
    };
    let is_exact = |text: &String| workload::ALL.iter().any(|workload| workload.name == text);
    let is_meant = |text: &String, name: &str| name == text || !is_exact(text) && name.contains(text.as_str());
    let is_chosen = |workload: &&Workload| match &arguments.only {
        Some(only) => only.iter().any(|text| is_meant(text, workload.name)),
        None => workload.when <= latest,
    };
    workload::ALL.iter().filter(is_chosen).copied().collect()
}

/// Every peer once per round, so that a disturbance meets all of them.
async fn rounds_of(
    workload: &Workload,
    jobs: usize,
    rounds: usize,
    arguments: &Arguments,
    server: &RedisServer,
    redis: &RedisClient,
    rate: f64,
) -> BTreeMap<Peer, Vec<Figures>> {
    let programs = arguments.peer_programs.clone().unwrap_or_else(|| PathBuf::from("bench/peers/target/release"));
    let mut measured: BTreeMap<Peer, Vec<Figures>> = BTreeMap::new();
    for round in 0..rounds {
        for peer in Peer::ALL.into_iter().filter(|peer| takes_part(*peer, workload, round, arguments)) {
            let far = workload.with.is_far.then(|| far::line_to(server.port()));
            let url = far.map_or_else(|| server.url(), |port| server.url_on(port));
            let mut team = Vec::new();
            for _ in 0..workload.with.team() {
                team.push(Running::start(peer, &programs, &url).await);
            }
            let jobs = workload::jobs_for(peer, workload, jobs);
            let figures = workload::run(workload, jobs, &mut team, redis, rate).await;
            for member in team {
                member.end().await;
            }
            match figures {
                Ok(figures) => {
                    progress(workload, peer, round, &format!("{:>8.0} jobs/s", figures.jobs_per_second));
                    measured.entry(peer).or_default().push(figures);
                }
                Err(stuck) if peer != Peer::Operator => progress(workload, peer, round, &stuck.to_string()),
                Err(stuck) => panic!("{}: {stuck}", workload.name),
            }
        }
    }
    measured
}

fn takes_part(peer: Peer, workload: &Workload, round: usize, arguments: &Arguments) -> bool {
    let is_named = |names: &Vec<String>| names.iter().any(|name| name == peer.name());
    let is_able = match (peer, workload.kind) {
        (Peer::Floor, Kind::Latency) => false,
        // It looks for new jobs every half a minute: once is enough to see that.
        (Peer::Apalis, Kind::Latency) => round == 0 && !arguments.quick,
        _ => true,
    };
    is_able && workload.peers.contains(&peer) && arguments.peers.as_ref().is_none_or(is_named)
}

#[expect(clippy::print_stderr, reason = "a long run says how far it is")]
fn progress(workload: &Workload, peer: Peer, round: usize, what: &str) {
    eprintln!("{:<34} {:<15} round {}: {what}", workload.name, peer.name(), round + 1);
}
