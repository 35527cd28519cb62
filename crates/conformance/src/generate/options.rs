//! Options of jobs, and the data they carry.

use serde_json::{Map, Value, json};

use super::Generator;
use super::scene::{STATES, Scene};

/// No window of a limit and no deduplication may end because time passes while a sequence runs: `expire` ends them.
pub(super) const LONG_MS: u64 = 3_600_000;

/// Delays, and what the clock advances by: such that some of them meet.
pub(super) const SPANS: [u64; 6] = [1, 50, 1000, 5000, 60_000, 3_600_000];

impl Generator {
    /// Data of any shape.
    pub(super) fn data(&mut self) -> Value {
        match self.chance.below(8) {
            0 => Value::Null,
            1 => json!([1, 2.5, "three", null]),
            2 => json!("text with \"quotes\", a \\ and ümlauts"),
            3 => json!({ "nested": { "list": [], "map": {}, "yes": true } }),
            _ => json!({ "n": self.chance.below(100) }),
        }
    }

    /// Options of a job without a parent.
    pub(super) fn job_options(&mut self, scene: &Scene<'_>, queue: &str) -> Value {
        let mut options = self.common_options();
        if self.chance.percent(75) {
            let id = self.job_id(scene, queue);
            options.insert("jobId".to_owned(), id.into());
        }
        if self.chance.percent(20) {
            options.insert("deduplication".to_owned(), self.deduplication());
        }
        if self.chance.percent(2) {
            self.spoil(&mut options);
        }
        Value::Object(options)
    }

    /// Options that jobs of flows have, too. Their ids are given: those that clients make up are new in each run, and
    /// so is the order in which the server holds them.
    pub(super) fn flow_options(&mut self, id: String, is_child: bool) -> Value {
        let mut options = self.common_options();
        options.insert("jobId".to_owned(), id.into());
        if is_child && self.chance.percent(70) {
            options.insert(self.failure_policy().to_owned(), true.into());
        }
        Value::Object(options)
    }

    pub(super) fn failure_policy(&mut self) -> &'static str {
        self.chance.one_of([
            "failParentOnFailure",
            "continueParentOnFailure",
            "ignoreDependencyOnFailure",
            "removeDependencyOnFailure",
        ])
    }

    /// A new id as a rule, sometimes one that is taken.
    pub(super) fn job_id(&mut self, scene: &Scene<'_>, queue: &str) -> String {
        if self.chance.percent(8) {
            let ids: Vec<&str> = STATES.iter().flat_map(|state| scene.ids(queue, state)).collect();
            // Others were generated, and are refused when they are given.
            if let Some(id) = self.chance.pick(&ids).filter(|id| id.starts_with('j')) {
                return (*id).to_owned();
            }
        }
        self.new_name('j')
    }

    fn common_options(&mut self) -> Map<String, Value> {
        let mut options = Map::new();
        let mut set = |name: &str, value: Value| options.insert(name.to_owned(), value);
        if self.chance.percent(20) {
            set("delay", self.chance.one_of(SPANS).into());
        }
        if self.chance.percent(25) {
            set("priority", self.chance.one_of([1, 2, 2, 10, 2_097_151]).into());
        }
        // BullMQ forgets `lifo` when it promotes a job, and then claims another than we do.
        if !options.contains_key("delay") && self.chance.percent(10) {
            options.insert("lifo".to_owned(), true.into());
        }
        if self.chance.percent(50) {
            options.insert("attempts".to_owned(), self.chance.one_of([1, 2, 3]).into());
            if self.chance.percent(60) && !options.contains_key("lifo") {
                options.insert("backoff".to_owned(), self.backoff());
            }
        }
        let mut set = |name: &str, value: Value| options.insert(name.to_owned(), value);
        for name in ["removeOnComplete", "removeOnFail"] {
            if self.chance.percent(15) {
                set(name, self.keep());
            }
        }
        if self.chance.percent(5) {
            set("keepLogs", self.chance.one_of([1, 2]).into());
        }
        if self.chance.percent(5) {
            set("stackTraceLimit", self.chance.one_of([0, 1, 2]).into());
        }
        options
    }

    /// Without jitter, which is a matter of luck.
    fn backoff(&mut self) -> Value {
        let delay = self.chance.one_of(SPANS);
        match self.chance.below(4) {
            0 => delay.into(),
            1 => json!({ "type": "fixed", "delay": delay }),
            2 => json!({ "type": "fixed", "delay": 0 }),
            _ => json!({ "type": "exponential", "delay": delay }),
        }
    }

    /// What is kept of finished jobs.
    pub(super) fn keep(&mut self) -> Value {
        match self.chance.below(6) {
            0 => true.into(),
            1 => false.into(),
            2 => self.chance.one_of([0, 1, 2]).into(),
            3 => json!({ "count": self.chance.one_of([0, 1, 3]) }),
            4 => json!({ "age": self.chance.one_of([1, 60, 3600]) }),
            _ => json!({ "age": 5, "count": 2, "limit": self.chance.one_of([1, 10]) }),
        }
    }

    fn deduplication(&mut self) -> Value {
        let id = self.chance.one_of(["d1", "d1", "d2"]);
        // The last is for version 6 alone.
        match self.chance.below(if self.version < 6 { 7 } else { 8 }) {
            0 => json!({ "id": id, "ttl": LONG_MS }),
            1 => json!({ "id": id, "ttl": LONG_MS, "extend": true }),
            2 => json!({ "id": id, "ttl": LONG_MS, "extend": true, "replace": true }),
            3 => json!({ "id": id, "ttl": LONG_MS, "replace": true }),
            4 => json!({ "id": id, "replace": true }),
            5 => json!({ "id": id, "keepLastIfActive": true }),
            6 => json!({ "id": id }),
            _ => json!({ "id": id, "reschedule": true }),
        }
    }

    /// Makes options that no client accepts.
    fn spoil(&mut self, options: &mut Map<String, Value>) {
        let (name, value) = match self.chance.below(5) {
            0 => ("priority", json!(2_097_152)),
            1 => ("jobId", json!("12")),
            2 => ("jobId", json!("one:colon")),
            3 => ("deduplication", json!({ "ttl": 1000 })),
            _ => ("sizeLimit", json!(1)),
        };
        options.insert(name.to_owned(), value);
    }
}
