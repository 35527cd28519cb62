//! Sequences made up by chance: operations that fit what is in Redis, most of them legal, drawn from a seed.
//!
//! The generator is asked before every step. It looks at what both subjects left (which is the same, or the run is at
//! its end), so it needs no model of a queue; it remembers only what cannot be read there: who holds what.

mod chance;
mod scene;

mod kinds;

mod administer;
mod look;
mod options;
mod produce;
mod schedule;
mod work;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::keyspace::Keyspace;
use crate::operation::Operation;
pub(crate) use chance::Chance;
pub use kinds::{KINDS, Kind};
pub(crate) use scene::{STATES, Scene};

/// How many kinds are drawn for a step before the generator adds a job instead. Most kinds fit most of the time.
const DRAWS: usize = 50;

/// Makes up the operations of one sequence.
#[derive(Debug)]
pub struct Generator {
    chance: Chance,
    queues: BTreeSet<String>,
    workers: Vec<Seat>,
    held: Vec<Held>,
    /// The names that earlier operations bound to ids that were generated, by queue and id.
    names: BTreeMap<(String, String), String>,
    /// What follows before anything is drawn again.
    planned: VecDeque<Value>,
    /// How heavy each of [`KINDS`] is in this sequence.
    weights: Vec<usize>,
    /// How many names were given so far.
    named: usize,
    /// The major version of BullMQ.
    version: u8,
}

/// A worker that was declared.
#[derive(Debug, Clone)]
struct Seat {
    worker: String,
    queue: String,
}

/// A claim whose job was not seen to leave.
#[derive(Debug, Clone)]
struct Held {
    name: String,
    queue: String,
    id: String,
    token: String,
    is_last: bool,
}

impl Generator {
    /// The generator of this seed, for sequences that this major version of BullMQ can do.
    #[must_use]
    pub fn new(seed: u64, version: u8) -> Self {
        let mut chance = Chance::seeded(seed);
        let queues = ["a", "b", "c"].into_iter().take(1 + chance.weighted([2, 5, 3].into_iter()));
        let queues = queues.map(str::to_owned).collect();
        let weights = KINDS.iter().map(|kind| kind.drawn(&mut chance, version)).collect();
        let mut generator = Self {
            chance,
            queues,
            workers: Vec::new(),
            held: Vec::new(),
            names: BTreeMap::new(),
            planned: VecDeque::new(),
            weights,
            named: 0,
            version,
        };
        generator.plan_workers();
        generator
    }

    /// The queues that its operations use.
    #[must_use]
    pub fn queues(&self) -> &BTreeSet<String> {
        &self.queues
    }

    /// The next operation, given what is in Redis.
    ///
    /// # Panics
    /// Never: what it draws are operations.
    #[must_use]
    pub fn next(&mut self, keys: &Keyspace, now_ms: u64) -> Operation {
        let scene = Scene::new(keys, now_ms);
        let drawn = self.planned.pop_front().unwrap_or_else(|| self.draw(&scene));
        let drawn = self.with_time_between(&scene, drawn);
        serde_json::from_value(drawn.clone()).unwrap_or_else(|error| panic!("{drawn} is no operation: {error}"))
    }

    /// Takes in what came of the operation, in the form that the keyspace is given in.
    pub fn observe(&mut self, operation: &Operation, answer: &Answer) {
        let Some(answer) = answer.done() else { return };
        match operation {
            Operation::Add(add) => self.name(&add.queue, answer, add.bind.as_deref()),
            Operation::AddBulk(bulk) => {
                let named = bulk.jobs.iter().enumerate();
                named.for_each(|(at, job)| self.name(&bulk.queue, &answer[at], job.bind.as_deref()));
            }
            // BullMQ counts its ids from the beginning then.
            Operation::Obliterate(all) => self.held.retain(|held| held.queue != all.queue),
            Operation::Claim(claim) => {
                let queue = self.queue_of(&claim.worker);
                self.hold(&claim.bind, &queue, answer, &claim.token);
            }
            Operation::Complete(complete) => {
                self.follow(&complete.job, complete.next.as_ref().map(|next| next.bind.as_str()), answer);
            }
            Operation::Fail(fail) => {
                self.follow(&fail.job, fail.next.as_ref().map(|next| next.bind.as_str()), answer);
            }
            _ => {}
        }
    }

    /// Jobs with generated ids do not end in one millisecond: the server orders them by their ids then, which differ.
    fn with_time_between(&mut self, scene: &Scene<'_>, drawn: Value) -> Value {
        let ends = matches!(drawn["op"].as_str(), Some("complete" | "fail"));
        if !ends || !self.queues.iter().any(|queue| scene.ended_now(queue).any(|id| !is_given(id))) {
            return drawn;
        }
        self.planned.push_front(drawn);
        json!({ "op": "clock", "advance": 1 })
    }

    fn draw(&mut self, scene: &Scene<'_>) -> Value {
        for _ in 0..DRAWS {
            let kind = &KINDS[self.chance.weighted(self.weights.iter().copied())];
            if let Some(drawn) = (kind.make)(self, scene) {
                return drawn;
            }
        }
        self.add_plain()
    }

    /// A queue.
    fn queue(&mut self) -> String {
        let at = self.chance.below(self.queues.len());
        self.queues.iter().nth(at).cloned().unwrap_or_default()
    }

    /// A new name of this kind.
    fn new_name(&mut self, kind: char) -> String {
        self.named += 1;
        format!("{kind}{}", self.named)
    }

    /// A job in one of the states as operations write it, or none if there is none.
    fn job_in(&mut self, scene: &Scene<'_>, queue: &str, states: &[&str]) -> Option<String> {
        let ids = states.iter().flat_map(|state| scene.ids(queue, state));
        let ids: Vec<String> = ids.filter_map(|id| self.written(queue, id)).collect();
        self.chance.pick(&ids).cloned()
    }

    /// A job that an operation is meant for: in one of the states as a rule, sometimes in any, seldom in none.
    fn target(&mut self, scene: &Scene<'_>, queue: &str, states: &[&str]) -> Option<String> {
        if self.chance.percent(3) {
            return Some("missing".to_owned());
        }
        if self.chance.percent(12) { self.job_in(scene, queue, &STATES) } else { self.job_in(scene, queue, states) }
    }

    /// An id as operations write it: by its name when it was generated, because then it is another one for each
    /// subject, and when an earlier step is left out. None when it was generated and nobody has named it.
    fn written(&self, queue: &str, id: &str) -> Option<String> {
        if is_given(id) {
            return Some(id.to_owned());
        }
        self.names.get(&(queue.to_owned(), id.to_owned())).map(|name| format!("${name}"))
    }

    fn name(&mut self, queue: &str, id: &Value, bind: Option<&str>) {
        if let (Some(id), Some(bind)) = (id.as_str(), bind) {
            self.names.insert((queue.to_owned(), id.to_owned()), bind.to_owned());
        }
    }

    fn hold(&mut self, name: &str, queue: &str, claimed: &Value, token: &str) {
        let Some(id) = claimed["id"].as_str() else { return };
        if self.written(queue, id).is_none() {
            self.name(queue, &claimed["id"], Some(name));
        }
        // Only the last claim of a job is a worker's: an earlier one under the same token would settle it, too.
        self.held.iter_mut().filter(|held| held.queue == queue && held.id == id).for_each(|held| held.is_last = false);
        self.held.push(Held {
            is_last: true,
            name: name.to_owned(),
            queue: queue.to_owned(),
            id: id.to_owned(),
            token: token.to_owned(),
        });
        if let Some(reason) = claimed["mustFail"].as_str() {
            self.plan_certain_failure(name, reason);
        }
    }

    /// The claim that a worker made while it settled another job, under the same token.
    fn follow(&mut self, settled: &str, bind: Option<&str>, claimed: &Value) {
        let before = self.held.iter().find(|held| held.name == settled).cloned();
        if let (Some(before), Some(bind)) = (before, bind) {
            self.hold(bind, &before.queue, claimed, &before.token);
        }
    }

    fn queue_of(&self, worker: &str) -> String {
        self.workers.iter().find(|seat| seat.worker == worker).map(|seat| seat.queue.clone()).unwrap_or_default()
    }
}

/// Whether an id is the same for both, because it was given or follows from what was.
fn is_given(id: &str) -> bool {
    id.starts_with('j') || id.starts_with("repeat:")
}
