//! The bench on which both subjects do the same: one private Redis, a database for each, one clock for both.

use std::collections::{BTreeMap, BTreeSet};

use operator_testkit::{BullMq, RedisClient, RedisServer};
use serde_json::Value;

use crate::answer::Answer;
use crate::claims::Claims;
use crate::compare::compare;
use crate::differences::{Moment, explaining};
use crate::generate::Generator;
use crate::keyspace::{self, Keyspace};
use crate::node::Node;
use crate::normal::{self, Aliases};
use crate::operation::Operation;
use crate::ours::Ours;
use crate::sequence::{Sequence, Step};
use crate::verdict::{StepDifference, Verdict};

/// BullMQ works in this database, we in the next: so both use the same names for their keys.
const NODE: u8 = 0;
const OURS: u8 = 1;

/// When every sequence begins, epoch milliseconds: 2023-11-14T22:13:20Z.
pub const START_MS: u64 = 1_700_000_000_000;

/// A private Redis with both subjects. One bench runs any number of sequences, one after the other.
pub struct Bench {
    server: RedisServer,
    redis: RedisClient,
    node: Node,
    against: BullMq,
    trace: Option<Trace>,
    goes_on: bool,
    /// Stands in for us in tests of the bench itself.
    twin: Option<Node>,
    flaw: Option<Flaw>,
}

/// What a test spoils in our database after an operation: the command is run there.
pub type Flaw = fn(&Operation) -> Option<Vec<String>>;

/// Is told every operation with BullMQ's answer and ours.
pub type Trace = fn(&Step, &Answer, &Answer);

/// What the subjects have done so far in one sequence.
struct Run {
    ours: Ours,
    node_names: BTreeMap<String, String>,
    our_names: BTreeMap<String, String>,
    aliases: Aliases,
    claims: Claims,
    before: Keyspace,
    now_ms: u64,
}

impl Bench {
    /// Starts the servers.
    ///
    /// # Panics
    /// When Redis or Node cannot be started.
    pub async fn start(against: BullMq) -> Self {
        let server = RedisServer::start().await;
        let redis = server.client().await;
        let node = Node::start(&server, against, NODE).await;
        Self { server, redis, node, against, trace: None, goes_on: false, twin: None, flaw: None }
    }

    /// The same bench with another BullMQ in our place: whatever differs then is a fault of the bench.
    ///
    /// # Panics
    /// When Node cannot be started.
    #[must_use]
    pub async fn with_twin(mut self) -> Self {
        self.twin = Some(Node::start(&self.server, self.against, OURS).await);
        self
    }

    /// The same bench, doing harm to our database.
    #[must_use]
    pub fn with_flaw(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// The same bench, telling `trace` of every step.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The same bench, going on after a difference as if it were declared.
    #[must_use]
    pub fn going_on(mut self) -> Self {
        self.goes_on = true;
        self
    }

    /// The major version of BullMQ that this bench compares with.
    #[must_use]
    pub fn version(&self) -> u8 {
        match self.against {
            BullMq::V5 => 5,
            BullMq::V6 => 6,
        }
    }

    /// Runs `sequence` from an empty Redis to its end or its first difference.
    ///
    /// # Panics
    /// When a server is gone, or an operation of the harness itself cannot be done.
    pub async fn run(&mut self, sequence: &Sequence) -> Verdict {
        let mut run = self.begin(&sequence.queues()).await;
        let mut verdict = Verdict::new(&sequence.name);
        for step in &sequence.steps {
            self.take(&mut run, step, &mut verdict).await;
            if self.is_over(&verdict) {
                break;
            }
        }
        verdict
    }

    /// Makes up a sequence of so many operations while it runs, from an empty Redis to its end or its first difference.
    ///
    /// # Panics
    /// As [`Self::run`].
    pub async fn run_seed(&mut self, seed: u64, steps: usize) -> (Sequence, Verdict) {
        let mut generator = Generator::new(seed, self.version());
        let mut run = self.begin(generator.queues()).await;
        let mut sequence = Sequence::new(format!("seed {seed}"), []);
        sequence.against = vec![self.version()];
        let mut verdict = Verdict::new(&sequence.name);
        for at in 0..steps {
            // The first line of a file is its header.
            let step = Step { line: at + 2, operation: generator.next(&run.before, run.now_ms) };
            let answer = self.take(&mut run, &step, &mut verdict).await;
            generator.observe(&step.operation, &answer);
            sequence.steps.push(step);
            if self.is_over(&verdict) {
                break;
            }
        }
        (sequence, verdict)
    }

    fn is_over(&self, verdict: &Verdict) -> bool {
        !verdict.is_equal() && !self.goes_on
    }

    /// Takes one step and notes what differs after it. Answers what BullMQ did.
    async fn take(&mut self, run: &mut Run, step: &Step, verdict: &mut Verdict) -> Answer {
        verdict.steps += 1;
        let found = self.step(run, step).await;
        if let Some(trace) = &self.trace {
            trace(step, &found.0, &found.1);
        }
        let answer = found.0.clone();
        run.hold(&step.operation, &found);
        let difference = self.judge(run, step, found, &mut verdict.declared).await;
        verdict.differences.extend(difference);
        normal::answer(answer, &step.operation, &run.aliases, &run.claims.queue(&step.operation))
    }

    async fn begin(&mut self, queues: &BTreeSet<String>) -> Run {
        for node in std::iter::once(&mut self.node).chain(&mut self.twin) {
            node.reset(START_MS).await;
        }
        self.redis.call(&["FLUSHALL"]).await.ok();
        for queue in queues {
            // Both subjects find their queues as a `Queue` of BullMQ leaves them when it is made.
            for database in [NODE, OURS] {
                let meta = format!("bull:{queue}:meta");
                let words = ["HSET", &meta, "opts.maxLenEvents", "10000", "version", "bullmq:6.7.0"];
                keyspace::command(&self.redis, database, &words.map(str::to_owned)).await.ok();
            }
        }
        let ours = Ours::start(&self.server, OURS, START_MS).await;
        let before = normal::keyspace(keyspace::read(&self.redis, NODE).await, &Aliases::default());
        Run {
            ours,
            node_names: BTreeMap::new(),
            our_names: BTreeMap::new(),
            aliases: Aliases::default(),
            claims: Claims::default(),
            before,
            now_ms: START_MS,
        }
    }

    /// Lets both subjects do the operation.
    async fn step(&mut self, run: &mut Run, step: &Step) -> (Answer, Answer) {
        match &step.operation {
            Operation::Clock(clock) => {
                run.now_ms = clock.set.unwrap_or(run.now_ms + clock.advance.unwrap_or(0));
                self.node.set_time(run.now_ms).await;
                run.ours.set_time(run.now_ms);
                if let Some(twin) = &mut self.twin {
                    twin.set_time(run.now_ms).await;
                }
            }
            Operation::Raw(raw) => match raw.database {
                Some(database) => drop(keyspace::command(&self.redis, database, &raw.command).await.ok()),
                None => self.both(&raw.command).await,
            },
            operation => {
                let node = operation.resolved(&|name| run.node_names.get(name).cloned());
                let ours = operation.resolved(&|name| run.our_names.get(name).cloned());
                let (Ok(node), Ok(ours)) = (node, ours) else { panic!("a bound name does not fit: {operation:?}") };
                if let (Operation::Expire(node), Operation::Expire(ours)) = (&node, &ours) {
                    for (database, key) in [(NODE, &node.key), (OURS, &ours.key)] {
                        keyspace::command(&self.redis, database, &["DEL".to_owned(), key.clone()]).await.ok();
                    }
                    return (Answer::Done(Value::Null), Answer::Done(Value::Null));
                }
                let node = self.node.perform(&node).await;
                let ours = match &mut self.twin {
                    Some(twin) => twin.perform(&ours).await,
                    None => run.ours.perform(&ours).await,
                };
                if let Some(harm) = self.flaw.and_then(|flaw| flaw(operation)) {
                    keyspace::command(&self.redis, OURS, &harm).await.ok();
                }
                run.bind(operation, &node, &ours);
                return (node, ours);
            }
        }
        (Answer::Done(Value::Null), Answer::Done(Value::Null))
    }

    async fn both(&self, command: &[String]) {
        for database in [NODE, OURS] {
            keyspace::command(&self.redis, database, command).await.ok();
        }
    }

    /// Compares what both left; what is declared is counted and made equal again.
    async fn judge(
        &mut self,
        run: &mut Run,
        step: &Step,
        (node, ours): (Answer, Answer),
        declared: &mut BTreeMap<&'static str, usize>,
    ) -> Option<StepDifference> {
        let (node_keys, our_keys) = (keyspace::read(&self.redis, NODE).await, keyspace::read(&self.redis, OURS).await);
        run.aliases.discover(&node_keys, &our_keys);
        let (node_keys, our_keys) =
            (normal::keyspace(node_keys, &run.aliases), normal::keyspace(our_keys, &run.aliases));
        let queue = run.claims.queue(&step.operation);
        let answer = |answer| normal::answer(answer, &step.operation, &run.aliases, &queue);
        let (node, ours) = (answer(node), answer(ours));
        let mut difference = None;
        let places = compare((&node, &node_keys), (&ours, &our_keys));
        if !places.is_empty() {
            let moment = Moment {
                operation: &step.operation,
                before: &run.before,
                node: (&node, &node_keys),
                ours: (&ours, &our_keys),
            };
            let ids: Vec<Option<&str>> = places.iter().map(|place| explaining(&moment, place)).collect();
            for id in ids.iter().flatten().collect::<BTreeSet<_>>() {
                *declared.entry(id).or_default() += 1;
            }
            self.make_equal(run).await;
            if ids.contains(&None) {
                let unknown = places.into_iter().zip(ids).filter(|(_, id)| id.is_none()).map(|(place, _)| place);
                difference = Some(StepDifference::new(step.line, &step.operation, unknown.collect()));
            }
        }
        run.before = node_keys;
        difference
    }

    /// Makes our database a copy of BullMQ's, so that the rest of the sequence can be compared. What is held is held
    /// under BullMQ's ids then.
    async fn make_equal(&self, run: &mut Run) {
        keyspace::copy(&self.redis, NODE, OURS).await;
        run.our_names.clone_from(&run.node_names);
        if self.twin.is_none() {
            for (claim, id) in run.claims.held() {
                // What is gone cannot be settled under any id.
                let _ = run.ours.adopt(claim, id).await;
            }
        }
    }
}

impl Run {
    /// Remembers a claim that gave BullMQ a job. What only we got is not ours: the keys will be equal again.
    fn hold(&mut self, operation: &Operation, (node, ours): &(Answer, Answer)) {
        self.claims.declare(operation);
        let Some(claim) = self.claims.of(operation) else { return };
        match (claimed(node), claimed(ours)) {
            (Some(id), _) => self.claims.hold(claim, id),
            (None, Some(_)) => self.ours.forget(&claim.bind),
            (None, None) => {}
        }
    }

    /// Remembers the names that the operation binds, and gives one name to two ids that were made up.
    fn bind(&mut self, operation: &Operation, node: &Answer, ours: &Answer) {
        let (node, ours) = (node.done().unwrap_or(&Value::Null), ours.done().unwrap_or(&Value::Null));
        match operation {
            Operation::Add(add) => self.pair(&add.queue, node, ours, add.bind.as_deref()),
            Operation::AddBulk(bulk) => {
                for (at, job) in bulk.jobs.iter().enumerate() {
                    self.pair(&bulk.queue, &node[at], &ours[at], job.bind.as_deref());
                }
            }
            Operation::AddFlow(_) | Operation::AddFlows(_) => self.pair_tree(node, ours),
            Operation::UpsertScheduler(upsert) => self.pair(&upsert.queue, node, ours, upsert.bind.as_deref()),
            Operation::Claim(claim) => self.pair("", &node["id"], &ours["id"], Some(&claim.bind)),
            Operation::Complete(complete) => {
                let next = complete.next.as_ref().map(|next| next.bind.as_str());
                self.pair("", &node["id"], &ours["id"], next);
            }
            Operation::Fail(fail) => {
                let next = fail.next.as_ref().map(|next| next.bind.as_str());
                self.pair("", &node["id"], &ours["id"], next);
            }
            _ => {}
        }
    }

    fn pair_tree(&mut self, node: &Value, ours: &Value) {
        match (node, ours) {
            (Value::Array(node), Value::Array(ours)) => {
                node.iter().zip(ours).for_each(|(node, ours)| self.pair_tree(node, ours));
            }
            (Value::Object(_), Value::Object(_)) => {
                let queue = node["queue"].as_str().unwrap_or_default().to_owned();
                self.pair(&queue, &node["id"], &ours["id"], None);
                self.pair_tree(&node["children"], &ours["children"]);
            }
            _ => {}
        }
    }

    /// Two ids of the same job. Where they differ, both were made up: they are the same under a name of ours.
    fn pair(&mut self, queue: &str, node: &Value, ours: &Value, bind: Option<&str>) {
        if let (Some(node), Some(ours), false) = (node.as_str(), ours.as_str(), queue.is_empty()) {
            self.aliases.pair(queue, node, ours);
        }
        let Some(bind) = bind else { return };
        for (names, id) in [(&mut self.node_names, node), (&mut self.our_names, ours)] {
            if let Some(id) = id.as_str() {
                names.insert(bind.to_owned(), id.to_owned());
            }
        }
    }
}

fn claimed(answer: &Answer) -> Option<&str> {
    answer.done().and_then(|job| job["id"].as_str())
}
