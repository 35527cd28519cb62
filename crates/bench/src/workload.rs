//! What is measured: each workload with its size, run by any peer.

use std::fmt;
use std::time::{Duration, Instant};

use operator_testkit::RedisClient;
use peer_protocol::now_us;
use serde_json::{Value, json};

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
    pub(crate) when: When,
    pub(crate) with: With,
    /// Who takes part.
    pub(crate) peers: &'static [Peer],
}

/// Which runs a workload belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// A target is stated for it.
    Quick,
    Usually,
    /// It shows how a cost grows, and takes long.
    Full,
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

/// What makes a workload another than the plainest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct With {
    /// Jobs are delayed, and come due spread over this time.
    spread_ms: u64,
    priorities: u32,
    /// Jobs that each job waits for; all are counted as jobs.
    children: usize,
    /// How many jobs the queue lets run at a time.
    queue_limit: usize,
    forgets: bool,
    listens: bool,
    /// Worker processes.
    pub(crate) processes: usize,
    /// Answers of Redis take a millisecond longer.
    pub(crate) is_far: bool,
    /// Jobs that wait behind those that are measured.
    behind: usize,
    /// Jobs that another process holds all the while.
    held: usize,
    /// Queues that the worker serves; the jobs are in the first of them.
    queues: usize,
    /// Workers beside the one that is measured, all in one process, which share the jobs with it.
    idle: usize,
}

impl With {
    /// How many processes it takes.
    pub(crate) fn team(&self) -> usize {
        self.processes + usize::from(self.held > 0) + usize::from(self.idle > 0)
    }
}

const PLAIN: With = With {
    spread_ms: 0,
    priorities: 0,
    children: 0,
    queue_limit: 0,
    forgets: false,
    listens: false,
    processes: 1,
    is_far: false,
    behind: 0,
    held: 0,
    queues: 1,
    idle: 0,
};

const fn add(name: &'static str, flight: usize, bulk: usize, payload: usize, jobs: usize, when: When) -> Workload {
    let kind = Kind::Add { flight, bulk, payload };
    Workload { name, kind, jobs: (jobs, jobs / 2), when, with: PLAIN, peers: &Peer::ALL }
}

const fn process(name: &'static str, concurrency: usize, payload: usize, jobs: usize, when: When) -> Workload {
    let kind = Kind::Process { concurrency, payload };
    Workload { name, kind, jobs: (jobs, jobs / 2), when, with: PLAIN, peers: &Peer::ALL }
}

/// A workload of concurrency 100 that is not plain.
const fn special(name: &'static str, jobs: usize, with: With, peers: &'static [Peer]) -> Workload {
    Workload { with, peers, ..process(name, 100, SMALL, jobs, When::Usually) }
}

/// How a cost grows: ours alone.
const fn growth(name: &'static str, with: With) -> Workload {
    Workload { with, peers: OURS, ..process(name, 100, SMALL, 20_000, When::Full) }
}

/// Jobs at a steady rate, with workers that have nothing else to do.
const fn idle(name: &'static str, idle: usize) -> Workload {
    Workload { kind: Kind::Latency, jobs: (5_000, 2_500), ..growth(name, With { idle, ..PLAIN }) }
}

/// Bytes of payload unless a workload is about its size.
const SMALL: usize = 100;

const OURS: &[Peer] = &[Peer::Operator];
const BOTH: &[Peer] = &[Peer::Operator, Peer::BullMq];
const WIRE: &[Peer] = &[Peer::Operator, Peer::BullMq, Peer::BullMqOfficial];

pub(crate) const ALL: &[Workload] = &[
    add("add one by one", 1, 0, SMALL, 10_000, When::Usually),
    add("add, 100 in flight", 100, 0, SMALL, 40_000, When::Quick),
    add("bulk add of 1000", 1, 1000, SMALL, 100_000, When::Quick),
    add("bulk add of 1000, 1 KB", 1, 1000, 1_000, 50_000, When::Usually),
    add("bulk add of 100, 100 KB", 1, 100, 100_000, 2_000, When::Usually),
    process("process, concurrency 1", 1, SMALL, 10_000, When::Quick),
    process("process, concurrency 10", 10, SMALL, 40_000, When::Quick),
    process("process, concurrency 100", 100, SMALL, 60_000, When::Quick),
    process("process, concurrency 500", 500, SMALL, 60_000, When::Usually),
    process("process, concurrency 100, 1 KB", 100, 1_000, 40_000, When::Usually),
    process("process, concurrency 100, 100 KB", 100, 100_000, 2_000, When::Usually),
    special("process, 10 priorities", 40_000, With { priorities: 10, ..PLAIN }, WIRE),
    special("process, due within a second", 100_000, With { spread_ms: 1000, ..PLAIN }, WIRE),
    special("process, at most 50 of the queue", 20_000, With { queue_limit: 50, ..PLAIN }, WIRE),
    special("process, flows of 1 + 10", 22_000, With { children: 10, ..PLAIN }, BOTH),
    special("process, events consumed", 40_000, With { listens: true, ..PLAIN }, BOTH),
    special("process, no history", 60_000, With { forgets: true, ..PLAIN }, OURS),
    special("process, 4 processes", 40_000, With { processes: 4, ..PLAIN }, WIRE),
    special("process, 1 ms from Redis", 20_000, With { is_far: true, ..PLAIN }, WIRE),
    Workload {
        name: "pick-up latency",
        kind: Kind::Latency,
        jobs: (10_000, 5_000),
        ..process("", 10, 0, 0, When::Quick)
    },
    growth("1 thousand wait behind", With { behind: 1_000, ..PLAIN }),
    growth("100 thousand wait behind", With { behind: 100_000, ..PLAIN }),
    growth("1 million wait behind", With { behind: 1_000_000, ..PLAIN }),
    growth("10 are active elsewhere", With { held: 10, ..PLAIN }),
    growth("1 thousand are active elsewhere", With { held: 1_000, ..PLAIN }),
    growth("10 thousand are active elsewhere", With { held: 10_000, ..PLAIN }),
    growth("1 queue is served", PLAIN),
    growth("100 queues are served", With { queues: 100, ..PLAIN }),
    growth("1 thousand queues are served", With { queues: 1000, ..PLAIN }),
    idle("1 idle worker", 1),
    idle("10 idle workers", 10),
    idle("100 idle workers", 100),
];

/// How long a workload may take before the peer counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A peer does not get on.
#[derive(Debug)]
pub(crate) struct Stuck {
    done: usize,
    jobs: usize,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stuck at {} of {} jobs", self.done, self.jobs)
    }
}

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

/// Runs `workload` once with an empty Redis. The first of `team` adds and is measured, with those that work beside it; a
/// last one holds jobs, if any are to be held. `rate` is that of the latency workload, in jobs a second.
pub(crate) async fn run(
    workload: &Workload,
    jobs: usize,
    team: &mut [Running],
    redis: &RedisClient,
    rate: f64,
) -> Result<Figures, Stuck> {
    redis.call(&["FLUSHALL", "SYNC"]).await.ok();
    // What the run before it has left is given back now, not while this one is measured.
    redis.call(&["MEMORY", "PURGE"]).await.ok();
    let run = Run { jobs, warm_up: WARM_UP.min(jobs / 4), peer: team[0].peer, redis, with: workload.with };
    match workload.kind {
        Kind::Add { flight, bulk, payload } => Ok(run.add(&mut team[0], flight, bulk, payload).await),
        Kind::Process { concurrency, payload } => run.process(team, concurrency, payload).await,
        Kind::Latency => run.latency(team, rate).await,
    }
}

/// One run of a workload.
struct Run<'a> {
    jobs: usize,
    warm_up: usize,
    peer: Peer,
    redis: &'a RedisClient,
    with: With,
}

impl Run<'_> {
    async fn add(&self, running: &mut Running, flight: usize, bulk: usize, payload: usize) -> Figures {
        let request = |count| add_request(count, flight, bulk, payload);
        running.ask(request(self.warm_up)).await;
        let memory = used_memory(self.redis).await;
        let mark = Mark::set(self.redis, std::slice::from_ref(running)).await;
        running.ask(request(self.jobs)).await;
        let figures = mark.figures(self.jobs).await;
        let waiting = self.peer.waiting(QUEUE, self.redis).await;
        assert_eq!(waiting, self.jobs + self.warm_up, "{} says it added more or fewer", self.peer.name());
        let memory = used_memory(self.redis).await.saturating_sub(memory);
        Figures { redis_bytes_per_job: Some(memory / self.jobs as u64), ..figures }
    }

    /// The workers warm up on the same queue and then rest, so that what is measured begins with a whole backlog and
    /// ends with none. Who cannot be told to rest is started on the backlog, after it was warmed up elsewhere.
    async fn process(&self, team: &mut [Running], concurrency: usize, payload: usize) -> Result<Figures, Stuck> {
        let workers = self.with.processes;
        if self.with.held > 0 {
            self.hold(&mut team[workers]).await;
        }
        let team = &mut team[..workers];
        let bulk = 1000.min(10_000_000 / payload);
        let concurrency = concurrency / workers;
        let start = json!({
            "op": "startWorker", "queue": QUEUE, "concurrency": concurrency, "forgets": self.with.forgets,
            "queues": self.with.queues
        });
        if self.with.listens {
            team[0].ask(json!({ "op": "listen", "queue": QUEUE })).await;
        }
        team[0].ask(add_request(self.warm_up, 100, bulk, payload)).await;
        for worker in &mut *team {
            worker.ask(start.clone()).await;
        }
        self.wait_for(self.warm_up).await?;
        let can_rest = self.peer.has_wire();
        let mut ran = 0;
        if can_rest {
            self.redis.call(&["HSET", &key("meta"), "paused", "1"]).await.ok();
        } else {
            ran = team[0].ask(json!({ "op": "stopWorker" })).await["ran"].as_u64().unwrap();
        }
        // The last jobs are added well before the first is due.
        let lead = Duration::from_millis(if self.with.spread_ms > 0 { 2_000 + self.jobs as u64 / 6 } else { 0 });
        let due = tokio::time::Instant::now() + lead;
        team[0].ask(self.backlog(bulk, payload, lead)).await;
        if self.with.queue_limit > 0 {
            self.redis.call(&["HSET", &key("meta"), "concurrency", &self.with.queue_limit.to_string()]).await.ok();
        }
        tokio::time::sleep_until(due).await;
        let mark = Mark::set(self.redis, team).await;
        if can_rest {
            self.redis.call(&["HDEL", &key("meta"), "paused"]).await.ok();
            self.redis.call(&["ZADD", &key("marker"), "0", "0"]).await.ok();
        } else {
            team[0].ask(start).await;
        }
        let done = self.wait_for(self.warm_up + self.jobs).await?;
        let figures = mark.figures(done - self.warm_up).await;
        for worker in team {
            ran += worker.ask(json!({ "op": "stopWorker" })).await["ran"].as_u64().unwrap();
        }
        if self.with.behind == 0 {
            assert_eq!(ran, (self.warm_up + self.jobs) as u64, "{} ran more or fewer jobs", self.peer.name());
            assert_eq!(self.peer.waiting(QUEUE, self.redis).await, 0);
        }
        Ok(figures)
    }

    /// Has as many jobs as `held` begin and not end.
    async fn hold(&self, holder: &mut Running) {
        let held = self.with.held;
        holder.ask(add_request(held, 100, 1000, SMALL)).await;
        holder.ask(json!({ "op": "startWorker", "queue": QUEUE, "concurrency": held, "holds": true })).await;
        let active = || async { self.redis.call(&["LLEN", &key("active")]).await.int() };
        while active().await < i64::try_from(held).unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn backlog(&self, bulk: usize, payload: usize, lead: Duration) -> Value {
        let With { spread_ms, priorities, children, behind, .. } = self.with;
        let mut request = add_request(self.jobs / (children + 1) + behind, 100, bulk / (children + 1), payload);
        if spread_ms > 0 {
            request["dueAtMs"] = (now_us() / 1000 + u64::try_from(lead.as_millis()).unwrap()).into();
            request["spreadMs"] = spread_ms.into();
        }
        request["priorities"] = priorities.into();
        request["children"] = children.into();
        request
    }

    /// The first of the team adds, and works; the others work beside it.
    async fn latency(&self, team: &mut [Running], rate: f64) -> Result<Figures, Stuck> {
        let steadily = |count| json!({ "op": "addSteadily", "queue": QUEUE, "count": count, "rate": rate });
        let start = |workers| json!({ "op": "startWorker", "queue": QUEUE, "concurrency": 10, "workers": workers });
        team[0].ask(start(1)).await;
        for idle in &mut team[1..] {
            idle.ask(start(self.with.idle)).await;
        }
        team[0].ask(steadily(self.warm_up)).await;
        self.wait_for(self.warm_up).await?;
        let mut early = 0;
        for worker in &mut *team {
            early += waits_of(&worker.ask(json!({ "op": "notes" })).await).len();
        }
        assert_eq!(early, self.warm_up, "{} ran more or fewer jobs", self.peer.name());
        let mark = Mark::set(self.redis, team).await;
        team[0].ask(steadily(self.jobs)).await;
        self.wait_for(self.warm_up + self.jobs).await?;
        let figures = mark.figures(self.jobs).await;
        let mut waits = Vec::new();
        for worker in team {
            waits.extend(waits_of(&worker.ask(json!({ "op": "stopWorker" })).await));
        }
        assert_eq!(waits.len(), self.jobs, "{} ran more or fewer jobs", self.peer.name());
        waits.sort_unstable();
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
        Ok(Figures { wait_us: Some((at(0.5), at(0.99))), ..figures })
    }

    /// How many are done, once they are as many as `jobs`.
    async fn wait_for(&self, jobs: usize) -> Result<usize, Stuck> {
        let start = Instant::now();
        loop {
            let done = self.peer.done(QUEUE, self.redis).await;
            if done >= jobs {
                return Ok(done);
            }
            if start.elapsed() > PATIENCE {
                return Err(Stuck { done, jobs });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn add_request(count: usize, flight: usize, bulk: usize, payload: usize) -> Value {
    json!({ "op": "add", "queue": QUEUE, "count": count, "flight": flight, "bulk": bulk, "payload": payload })
}

fn waits_of(answer: &Value) -> Vec<u64> {
    answer["waitsUs"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

fn key(suffix: &str) -> String {
    format!("bull:{QUEUE}:{suffix}")
}

async fn used_memory(redis: &RedisClient) -> u64 {
    redis.info("memory").await["used_memory"].parse().unwrap()
}
