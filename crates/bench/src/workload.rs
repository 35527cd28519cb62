//! What is measured: each workload with its size, run by any peer.

use std::time::{Duration, Instant};

use operator_testkit::RedisClient;
use serde_json::json;

use crate::figures::{Figures, Mark};
use crate::peers::{Peer, Running};

const QUEUE: &str = "bench";

/// A workload and how it is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Jobs in a full run, and in a quick one.
    pub(crate) jobs: (usize, usize),
    /// Whether targets are stated for it, which is what a quick run measures.
    pub(crate) is_quick: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Adds, with this many under way or so many in a bulk call.
    Add { flight: usize, bulk: usize, payload: usize },
    /// Runs jobs that are there already.
    Process { concurrency: usize, payload: usize },
    /// Adds at a steady rate and runs at once: the waits are the result.
    Latency,
}

const fn add(name: &'static str, flight: usize, bulk: usize, payload: usize, jobs: usize, is_quick: bool) -> Workload {
    Workload { name, kind: Kind::Add { flight, bulk, payload }, jobs: (jobs, jobs / 2), is_quick }
}

const fn process(name: &'static str, concurrency: usize, payload: usize, jobs: usize, is_quick: bool) -> Workload {
    Workload { name, kind: Kind::Process { concurrency, payload }, jobs: (jobs, jobs / 2), is_quick }
}

/// Bytes of payload unless a workload is about its size.
const SMALL: usize = 100;

pub(crate) const ALL: &[Workload] = &[
    add("add one by one", 1, 0, SMALL, 10_000, false),
    add("add, 100 in flight", 100, 0, SMALL, 40_000, true),
    add("bulk add of 1000", 1, 1000, SMALL, 100_000, true),
    add("bulk add of 1000, 1 KB", 1, 1000, 1_000, 50_000, false),
    add("bulk add of 100, 100 KB", 1, 100, 100_000, 2_000, false),
    process("process, concurrency 1", 1, SMALL, 10_000, true),
    process("process, concurrency 10", 10, SMALL, 40_000, true),
    process("process, concurrency 100", 100, SMALL, 60_000, true),
    process("process, concurrency 500", 500, SMALL, 60_000, false),
    process("process, concurrency 100, 1 KB", 100, 1_000, 40_000, false),
    process("process, concurrency 100, 100 KB", 100, 100_000, 2_000, false),
    Workload { name: "pick-up latency", kind: Kind::Latency, jobs: (10_000, 5_000), is_quick: true },
];

/// How long a workload may take before the peer counts as stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `workload` once with an empty Redis. `rate` is that of the latency workload, in jobs a second.
pub(crate) async fn run(
    workload: &Workload,
    jobs: usize,
    peer: Peer,
    running: &mut Running,
    redis: &RedisClient,
    rate: f64,
) -> Figures {
    redis.call(&["FLUSHALL"]).await.ok();
    let process = running.id();
    match workload.kind {
        Kind::Add { flight, bulk, payload } => {
            running.ask(add_request(100, flight, bulk, payload)).await;
            let mark = Mark::set(redis, process).await;
            running.ask(add_request(jobs, flight, bulk, payload)).await;
            mark.figures(redis, process, jobs).await
        }
        Kind::Process { concurrency, payload } => {
            running.ask(add_request(jobs, 100, 1000.min(10_000_000 / payload), payload)).await;
            let mark = Mark::set(redis, process).await;
            running.ask(json!({ "op": "startWorker", "queue": QUEUE, "concurrency": concurrency })).await;
            wait_for(peer, redis, jobs).await;
            let figures = mark.figures(redis, process, jobs).await;
            running.ask(json!({ "op": "stopWorker" })).await;
            figures
        }
        Kind::Latency => {
            running.ask(json!({ "op": "startWorker", "queue": QUEUE, "concurrency": 10 })).await;
            let mark = Mark::set(redis, process).await;
            running.ask(json!({ "op": "addSteadily", "queue": QUEUE, "count": jobs, "rate": rate })).await;
            wait_for(peer, redis, jobs).await;
            let figures = mark.figures(redis, process, jobs).await;
            let answer = running.ask(json!({ "op": "stopWorker" })).await;
            let mut waits: Vec<u64> =
                answer["waitsUs"].as_array().unwrap().iter().filter_map(|wait| wait.as_u64()).collect();
            waits.sort_unstable();
            let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
            Figures { wait_us: Some((at(0.5), at(0.99))), ..figures }
        }
    }
}

fn add_request(count: usize, flight: usize, bulk: usize, payload: usize) -> serde_json::Value {
    json!({ "op": "add", "queue": QUEUE, "count": count, "flight": flight, "bulk": bulk, "payload": payload })
}

/// Looks at the number of finished jobs with a command that nobody else uses, so that it can be left out of the count.
async fn wait_for(peer: Peer, redis: &RedisClient, jobs: usize) {
    let (key, start) = (peer.done_key(QUEUE), Instant::now());
    loop {
        let done = redis.call(&["ZLEXCOUNT", &key, "-", "+"]).await.int();
        if usize::try_from(done).unwrap() >= jobs {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{} is stuck at {done} of {jobs} jobs", peer.name());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
