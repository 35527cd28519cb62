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

/// Jobs that a peer runs or adds before what it does counts: connections, script caches and compilers are warm then.
const WARM_UP: usize = 1000;

/// apalis takes all jobs that are due in one command and fails when they are more than Lua can hand over.
const APALIS_BACKLOG: usize = 7000;

/// apalis falls behind at the rate of the latency workload: enough to show it, and not to wait for it.
const APALIS_STEADY: usize = 500;

/// How many jobs `peer` is given of a workload's.
pub(crate) fn jobs_for(peer: Peer, workload: &Workload, jobs: usize) -> usize {
    match (peer, workload.kind) {
        (Peer::Apalis, Kind::Process { .. }) => jobs.min(APALIS_BACKLOG),
        (Peer::Apalis, Kind::Latency) => jobs.min(APALIS_STEADY),
        _ => jobs,
    }
}

/// Runs `workload` once with an empty Redis. `rate` is that of the latency workload, in jobs a second.
pub(crate) async fn run(
    workload: &Workload,
    jobs: usize,
    running: &mut Running,
    redis: &RedisClient,
    rate: f64,
) -> Figures {
    redis.call(&["FLUSHALL"]).await.ok();
    let run = Run { jobs, warm_up: WARM_UP.min(jobs / 4), peer: running.peer, redis };
    match workload.kind {
        Kind::Add { flight, bulk, payload } => run.add(running, flight, bulk, payload).await,
        Kind::Process { concurrency, payload } => run.process(running, concurrency, payload).await,
        Kind::Latency => run.latency(running, rate).await,
    }
}

/// One run of a workload.
struct Run<'a> {
    jobs: usize,
    warm_up: usize,
    peer: Peer,
    redis: &'a RedisClient,
}

impl Run<'_> {
    async fn add(&self, running: &mut Running, flight: usize, bulk: usize, payload: usize) -> Figures {
        let request = |count| add_request(count, flight, bulk, payload);
        running.ask(request(self.warm_up)).await;
        let memory = used_memory(self.redis).await;
        let mark = Mark::set(self.redis, running).await;
        running.ask(request(self.jobs)).await;
        let figures = mark.figures(self.jobs).await;
        let waiting = self.peer.waiting(QUEUE, self.redis).await;
        assert_eq!(waiting, self.jobs + self.warm_up, "{} says it added more or fewer", self.peer.name());
        let memory = used_memory(self.redis).await.saturating_sub(memory);
        Figures { redis_bytes_per_job: Some(memory / self.jobs as u64), ..figures }
    }

    /// The worker warms up on the same queue and then rests, so that what is measured begins with a whole backlog and
    /// ends with none. Who cannot be told to rest is started on the backlog, after it was warmed up elsewhere.
    async fn process(&self, running: &mut Running, concurrency: usize, payload: usize) -> Figures {
        let backlog = |count| add_request(count, 100, 1000.min(10_000_000 / payload), payload);
        let start = json!({ "op": "startWorker", "queue": QUEUE, "concurrency": concurrency });
        running.ask(backlog(self.warm_up)).await;
        running.ask(start.clone()).await;
        self.wait_for(self.warm_up).await;
        let can_rest = self.peer.has_wire();
        let mut ran = 0;
        if can_rest {
            self.redis.call(&["HSET", &key("meta"), "paused", "1"]).await.ok();
        } else {
            ran = running.ask(json!({ "op": "stopWorker" })).await["ran"].as_u64().unwrap();
        }
        running.ask(backlog(self.jobs)).await;
        let mark = Mark::set(self.redis, running).await;
        if can_rest {
            self.redis.call(&["HDEL", &key("meta"), "paused"]).await.ok();
            self.redis.call(&["ZADD", &key("marker"), "0", "0"]).await.ok();
        } else {
            running.ask(start).await;
        }
        self.wait_for(self.warm_up + self.jobs).await;
        let figures = mark.figures(self.jobs).await;
        ran += running.ask(json!({ "op": "stopWorker" })).await["ran"].as_u64().unwrap();
        assert_eq!(ran, (self.warm_up + self.jobs) as u64, "{} ran more or fewer jobs", self.peer.name());
        assert_eq!(self.peer.waiting(QUEUE, self.redis).await, 0);
        figures
    }

    async fn latency(&self, running: &mut Running, rate: f64) -> Figures {
        let steadily = |count| json!({ "op": "addSteadily", "queue": QUEUE, "count": count, "rate": rate });
        running.ask(json!({ "op": "startWorker", "queue": QUEUE, "concurrency": 10 })).await;
        running.ask(steadily(self.warm_up)).await;
        self.wait_for(self.warm_up).await;
        let mark = Mark::set(self.redis, running).await;
        running.ask(steadily(self.jobs)).await;
        self.wait_for(self.warm_up + self.jobs).await;
        let figures = mark.figures(self.jobs).await;
        let answer = running.ask(json!({ "op": "stopWorker" })).await;
        let waits = answer["waitsUs"].as_array().unwrap().iter().skip(self.warm_up);
        let mut waits: Vec<u64> = waits.filter_map(|wait| wait.as_u64()).collect();
        assert_eq!(waits.len(), self.jobs, "{} ran more or fewer jobs", self.peer.name());
        waits.sort_unstable();
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
        Figures { wait_us: Some((at(0.5), at(0.99))), ..figures }
    }

    async fn wait_for(&self, jobs: usize) {
        let start = Instant::now();
        loop {
            let done = self.peer.done(QUEUE, self.redis).await;
            if done >= jobs {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{} is stuck at {done} of {jobs} jobs", self.peer.name());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn add_request(count: usize, flight: usize, bulk: usize, payload: usize) -> serde_json::Value {
    json!({ "op": "add", "queue": QUEUE, "count": count, "flight": flight, "bulk": bulk, "payload": payload })
}

fn key(suffix: &str) -> String {
    format!("bull:{QUEUE}:{suffix}")
}

async fn used_memory(redis: &RedisClient) -> u64 {
    redis.info("memory").await["used_memory"].parse().unwrap()
}
