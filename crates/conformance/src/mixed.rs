//! Mixed fleets: operations of one made-up sequence done by BullMQ or by us, as it falls, on the *same* keys. After each
//! of them every invariant holds, and in the end everything that was added has come to an end.

mod circumstances;
mod drain;

use std::collections::BTreeMap;

use operator_testkit::{BullMq, RedisClient, RedisServer};
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::bench::START_MS;
use crate::generate::{Chance, Generator, Scene};
use crate::invariants::{self, Violation};
use crate::keyspace::{self, Keyspace};
use crate::node::Node;
use crate::operation::{Claim, Operation};
use crate::ours::Ours;
use circumstances::Fleet;

/// The one database.
const SHARED: u8 = 0;

/// How many of the last steps are shown when something does not hold.
const SHOWN: usize = 25;

/// A private Redis with both fleets.
pub struct MixedBench {
    server: RedisServer,
    redis: RedisClient,
    node: Node,
    against: BullMq,
    share: usize,
}

/// Who does an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// BullMQ.
    Node,
    /// Our queues.
    Ours,
}

/// What was done, by whom, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Deed {
    /// Who did it.
    pub by: Side,
    /// What.
    pub operation: Value,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a mixed sequence.
#[derive(Debug, Serialize)]
pub struct MixedVerdict {
    /// The seed.
    pub seed: u64,
    /// How many operations each side did.
    pub steps: BTreeMap<Side, usize>,
    /// How many jobs were finished in the end by draining.
    pub drained: usize,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// What did not come to an end, or broke.
    pub problem: Option<String>,
    /// Every step, when something is wrong.
    pub told: Vec<Deed>,
}

/// A sequence on its way.
struct Run<'a> {
    redis: &'a RedisClient,
    node: &'a mut Node,
    ours: Ours,
    chance: Chance,
    names: BTreeMap<String, String>,
    fleet: Fleet,
    now_ms: u64,
    keys: Keyspace,
    verdict: MixedVerdict,
    share: usize,
}

impl MixedBench {
    /// Starts the servers.
    ///
    /// # Panics
    /// When Redis or Node cannot be started.
    pub async fn start(against: BullMq) -> Self {
        let server = RedisServer::start().await;
        let redis = server.client().await;
        let node = Node::start(&server, against, SHARED).await;
        Self { server, redis, node, against, share: 50 }
    }

    /// The same bench, on which we do this many of a hundred operations.
    #[must_use]
    pub fn with_our_share(mut self, percent: usize) -> Self {
        self.share = percent;
        self
    }

    /// Makes up a sequence of so many operations, each done by one side or the other as it falls, then drains the queues.
    ///
    /// # Panics
    /// When a server is gone.
    pub async fn run_seed(&mut self, seed: u64, steps: usize) -> MixedVerdict {
        let version = if self.against == BullMq::V5 { 5 } else { 6 };
        let mut generator = Generator::new(seed, version);
        self.node.reset(START_MS).await;
        self.redis.call(&["FLUSHALL"]).await.ok();
        let ours = Ours::start(&self.server, SHARED, START_MS).await;
        let mut run = Run {
            redis: &self.redis,
            node: &mut self.node,
            ours,
            // Other dice than the generator's, so that the sequence is that of the seed whoever does it.
            chance: Chance::seeded(!seed),
            names: BTreeMap::new(),
            fleet: Fleet::default(),
            now_ms: START_MS,
            keys: Keyspace::new(),
            verdict: MixedVerdict::new(seed),
            share: self.share,
        };
        for queue in generator.queues() {
            run.make_queue(queue).await;
        }
        for _ in 0..steps {
            let operation = generator.next(&run.keys, run.now_ms);
            let answer = run.step(&operation).await;
            generator.observe(&operation, &answer);
            if !run.verdict.is_legal() {
                return run.verdict;
            }
        }
        run.drain(generator.queues()).await;
        run.verdict
    }
}

impl Run<'_> {
    /// A queue as BullMQ leaves it when it is made.
    async fn make_queue(&mut self, queue: &str) {
        let meta = format!("bull:{queue}:meta");
        let words = ["HSET", &meta, "opts.maxLenEvents", "10000", "version", "bullmq:6.7.0"];
        keyspace::command(self.redis, SHARED, &words.map(str::to_owned)).await.ok();
    }

    /// Lets one side do the operation, and looks whether everything holds then.
    async fn step(&mut self, operation: &Operation) -> Answer {
        let by_chance = if self.chance.percent(self.share) { Side::Ours } else { Side::Node };
        let side = if breaks_alone(operation, &self.keys) { Side::Ours } else { by_chance };
        let names = &self.names;
        let resolved = operation.resolved(&|name| names.get(name).cloned());
        let Ok(resolved) = resolved else { panic!("a bound name does not fit: {operation:?}") };
        let answer = self.perform(side, &resolved).await;
        self.share(side, &resolved, &answer).await;
        *self.verdict.steps.entry(side).or_default() += 1;
        self.verdict.told.push(Deed { by: side, operation: resolved.to_json(), answer: answer.clone() });

        self.keys = keyspace::read(self.redis, SHARED).await;
        self.fleet.observe(&resolved, &answer, &self.keys);
        self.verdict.violations = invariants::check(&self.keys, &self.fleet.circumstances(self.now_ms));
        if let Answer::Broken(said) = &answer {
            self.verdict.problem = Some(said.clone());
        }
        answer
    }

    async fn perform(&mut self, side: Side, operation: &Operation) -> Answer {
        match operation {
            Operation::Clock(clock) => {
                self.now_ms = clock.set.unwrap_or(self.now_ms + clock.advance.unwrap_or(0));
                self.node.set_time(self.now_ms).await;
                self.ours.set_time(self.now_ms);
            }
            Operation::Expire(expire) => {
                keyspace::command(self.redis, SHARED, &["DEL".to_owned(), expire.key.clone()]).await.ok();
            }
            Operation::Raw(raw) => drop(keyspace::command(self.redis, SHARED, &raw.command).await.ok()),
            // Both know all workers: whoever is asked acts for them.
            Operation::Worker(_) => {
                self.ours.perform(operation).await;
                return self.node.perform(operation).await;
            }
            operation if side == Side::Node => return self.node.perform(operation).await,
            operation => return self.ours.perform(operation).await,
        }
        Answer::Done(Value::Null)
    }

    /// Lets the other side know what this one has bound.
    async fn share(&mut self, side: Side, operation: &Operation, answer: &Answer) {
        let Some(answer) = answer.done() else { return };
        match operation {
            Operation::Add(add) => self.name(add.bind.as_deref(), answer),
            Operation::AddBulk(bulk) => {
                bulk.jobs.iter().enumerate().for_each(|(at, job)| self.name(job.bind.as_deref(), &answer[at]));
            }
            _ => {}
        }
        let (Some(claim), Some(id)) = (self.fleet.claims.of(operation), answer["id"].as_str()) else { return };
        self.names.insert(claim.bind.clone(), id.to_owned());
        self.adopt(side, &claim, id).await;
        self.fleet.claims.hold(claim, id);
    }

    fn name(&mut self, bind: Option<&str>, id: &Value) {
        if let (Some(bind), Some(id)) = (bind, id.as_str()) {
            self.names.insert(bind.to_owned(), id.to_owned());
        }
    }

    async fn adopt(&mut self, side: Side, claim: &Claim, id: &str) {
        match side {
            Side::Node => {
                if let Err(answer) = self.ours.adopt(claim, id).await {
                    self.verdict.problem = Some(format!("we cannot hold {id}, which Node claimed: {answer:?}"));
                }
            }
            Side::Ours => self.node.adopt(claim, id).await,
        }
    }
}

/// What BullMQ does alone must hold, too. Where it does not, we are asked:
/// - a scheduler that is changed on a paused queue gets a second job (the first is looked for in the older paused list);
/// - draining trims the wrong ids when a scheduler's job is among them;
/// - a new parent whose only child has another parent already waits for ever.
fn breaks_alone(operation: &Operation, keys: &Keyspace) -> bool {
    let scene = Scene::new(keys, 0);
    match operation {
        Operation::UpsertScheduler(upsert) => scene.has_setting(&upsert.queue, "paused"),
        Operation::Drain(drain) => !scene.schedulers(&drain.queue).is_empty(),
        Operation::AddFlow(_) | Operation::AddFlows(_) => {
            let text = operation.to_json().to_string();
            let is_taken = |key: &String| {
                key.splitn(3, ':').nth(2).is_some_and(|id| text.contains(&format!("\"jobId\":\"{id}\"")))
            };
            keys.keys().any(is_taken)
        }
        _ => false,
    }
}

impl MixedVerdict {
    fn new(seed: u64) -> Self {
        Self { seed, steps: BTreeMap::new(), drained: 0, violations: Vec::new(), problem: None, told: Vec::new() }
    }

    /// Whether everything held to the end.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        self.violations.is_empty() && self.problem.is_none()
    }
}

impl std::fmt::Display for MixedVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps = |side| self.steps.get(&side).copied().unwrap_or_default();
        let (node, ours) = (steps(Side::Node), steps(Side::Ours));
        write!(f, "seed {}: {node} steps by Node, {ours} by us, {} jobs drained", self.seed, self.drained)?;
        if self.is_legal() {
            return Ok(());
        }
        for deed in self.told.iter().skip(self.told.len().saturating_sub(SHOWN)) {
            write!(f, "\n  {:5} {}\n        {}", format!("{:?}", deed.by), deed.operation, json!(deed.answer))?;
        }
        self.violations.iter().try_for_each(|violation| write!(f, "\n  VIOLATED {violation}"))?;
        self.problem.iter().try_for_each(|problem| write!(f, "\n  PROBLEM {problem}"))
    }
}
