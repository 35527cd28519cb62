//! Makes a sequence that differs short: steps are left out as long as the same difference stays, then what the
//! remaining steps are given.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::bench::Bench;
use crate::operation::Operation;
use crate::sequence::{Sequence, Step};
use crate::verdict::{Place, StepDifference, Unequal, Verdict};

/// How many runs a search may cost: many times what the sequences of the generator need.
const RUNS: usize = 800;

/// What makes two differences the same: the operation, and what kinds of places differ after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    operation: String,
    places: BTreeSet<String>,
}

/// A search for a short sequence.
struct Search<'a> {
    bench: &'a mut Bench,
    wanted: Signature,
    best: Sequence,
    verdict: Verdict,
    runs: usize,
}

/// The shortest sequence that could be found in which the first difference of `verdict` occurs, with its verdict.
///
/// # Panics
/// As [`Bench::run`].
pub async fn shrink(bench: &mut Bench, sequence: Sequence, verdict: Verdict) -> (Sequence, Verdict) {
    let Some(difference) = verdict.differences.first() else { return (sequence, verdict) };
    let wanted = Signature::of(difference);
    let mut search = Search { bench, wanted, best: sequence, verdict, runs: 0 };
    loop {
        let before = search.best.clone();
        search.leave_out_steps().await;
        search.simplify_steps().await;
        if search.best == before || search.runs >= RUNS {
            return (search.best, search.verdict);
        }
    }
}

impl Signature {
    /// What is told of a difference.
    #[must_use]
    pub fn of(difference: &StepDifference) -> Self {
        let operation = difference.operation["op"].as_str().unwrap_or_default().to_owned();
        Self { operation, places: difference.places.iter().map(kind).collect() }
    }

    /// Whether it is told of the same fault: places come and go with the steps around it.
    fn matches(&self, other: &Self) -> bool {
        self.operation == other.operation && !self.places.is_disjoint(&other.places)
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places: Vec<&str> = self.places.iter().map(String::as_str).collect();
        write!(f, "{}: {}", self.operation, places.join(", "))
    }
}

impl Search<'_> {
    /// Leaves out halves, quarters, and so on down to single steps, as long as something can be left out.
    async fn leave_out_steps(&mut self) {
        let mut chunk = self.best.steps.len().div_ceil(2);
        loop {
            let mut is_shorter = false;
            // From the end: later steps depend on earlier ones.
            let mut end = self.best.steps.len();
            while end > 0 {
                let start = end.saturating_sub(chunk);
                let mut steps = self.best.steps.clone();
                steps.drain(start..end.min(steps.len()));
                is_shorter |= self.accept(steps).await;
                end = start;
            }
            if !is_shorter && chunk == 1 || self.runs >= RUNS {
                return;
            }
            if !is_shorter || chunk > 1 {
                chunk = (chunk / 2).max(1);
            }
        }
    }

    /// Leaves out fields and items of what operations are given, larger parts first.
    async fn simplify_steps(&mut self) {
        for at in 0..self.best.steps.len() {
            let mut tried = 0;
            loop {
                let Some(step) = self.best.steps.get(at) else { return };
                let given = step.operation.to_json();
                let paths = paths(&given);
                let Some(path) = paths.get(tried) else { break };
                let simpler = serde_json::from_value::<Operation>(without(given, path));
                let mut steps = self.best.steps.clone();
                let is_accepted = match simpler {
                    Ok(operation) => {
                        steps[at].operation = operation;
                        self.accept(steps).await
                    }
                    Err(_) => false,
                };
                // What follows an accepted part has moved to its place.
                tried += usize::from(!is_accepted);
            }
        }
    }

    /// Takes these steps for the best when they still differ in the same way.
    async fn accept(&mut self, steps: Vec<Step>) -> bool {
        if self.runs >= RUNS || steps.is_empty() {
            return false;
        }
        self.runs += 1;
        let mut candidate = self.best.clone();
        candidate.steps = renumbered(steps);
        let verdict = self.bench.run(&candidate).await;
        let Some(difference) = verdict.differences.first() else { return false };
        if !self.wanted.matches(&Signature::of(difference)) {
            return false;
        }
        // Nothing after the first difference matters.
        let taken = verdict.steps;
        candidate.steps.truncate(taken);
        self.best = candidate;
        self.verdict = verdict;
        true
    }
}

fn renumbered(steps: Vec<Step>) -> Vec<Step> {
    steps.into_iter().enumerate().map(|(at, step)| Step { line: at + 2, ..step }).collect()
}

/// What no operation can do without.
const NEEDED: [&str; 4] = ["op", "queue", "queueName", "name"];

/// The paths to all parts that can be left out, those near the root first.
fn paths(value: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut level = vec![(Vec::new(), value)];
    while !level.is_empty() {
        let mut next = Vec::new();
        for (path, value) in level {
            let parts: Vec<(String, &Value)> = match value {
                Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
                Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
                _ => Vec::new(),
            };
            for (name, part) in parts {
                let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
                if !NEEDED.contains(&name.as_str()) {
                    found.push(path.clone());
                    next.push((path, part));
                }
            }
        }
        level = next;
    }
    found
}

fn without(mut value: Value, path: &[String]) -> Value {
    let (Some(last), mut at) = (path.last(), &mut value) else { return value };
    for name in &path[..path.len() - 1] {
        at = match at {
            Value::Array(items) => &mut items[name.parse::<usize>().unwrap_or_default()],
            other => &mut other[name.as_str()],
        };
    }
    match at {
        Value::Array(items) => drop(items.remove(last.parse().unwrap_or_default())),
        Value::Object(fields) => drop(fields.remove(last)),
        _ => {}
    }
    value
}

/// The kind of a place: a key of a queue by its name, one of a job by what it holds of it, an answer by what kind the
/// two are of.
fn kind(unequal: &Unequal) -> String {
    const OF_QUEUES: [&str; 17] = [
        "active",
        "completed",
        "delayed",
        "events",
        "failed",
        "id",
        "limiter",
        "marker",
        "meta",
        "paused",
        "pc",
        "prioritized",
        "repeat",
        "stalled",
        "stalled-check",
        "wait",
        "waiting-children",
    ];
    let Place::Key(key) = &unequal.place else {
        return format!("{} instead of {}", kind_of_answer(&unequal.ours), kind_of_answer(&unequal.node));
    };
    let suffix = key.splitn(3, ':').nth(2).unwrap_or_default();
    if OF_QUEUES.contains(&suffix) {
        return suffix.to_owned();
    }
    match suffix.rsplit_once(':') {
        Some((_, part @ ("lock" | "logs" | "dependencies" | "processed" | "failed" | "unsuccessful"))) => {
            format!("{part} of a job")
        }
        Some((owner @ ("de" | "dn" | "metrics"), _)) => owner.to_owned(),
        _ => "a job".to_owned(),
    }
}

fn kind_of_answer(answer: &Value) -> &str {
    match answer.as_object().and_then(|kinds| kinds.iter().next()) {
        Some((kind, Value::Null)) if kind == "done" => "null",
        Some((kind, _)) => kind,
        None => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_part_but_the_operation_can_be_left_out() {
        let value = json!({ "op": "add", "opts": { "delay": 5 }, "jobs": [1, 2] });
        let paths = paths(&value);
        assert_eq!(paths, [vec!["jobs"], vec!["opts"], vec!["jobs", "0"], vec!["jobs", "1"], vec!["opts", "delay"]]);
        assert_eq!(without(value.clone(), &paths[2]), json!({ "op": "add", "opts": { "delay": 5 }, "jobs": [2] }));
        assert_eq!(without(value, &paths[4]), json!({ "op": "add", "opts": {}, "jobs": [1, 2] }));
    }

    #[test]
    fn places_of_one_kind_have_one_name() {
        let at = |place, node, ours| kind(&Unequal { place, node, ours });
        let named = |key: &str| at(Place::Key(key.to_owned()), Value::Null, Value::Null);
        assert_eq!(named("bull:a:delayed"), "delayed");
        assert_eq!((named("bull:a:j1"), named("bull:b:repeat:s1:17")), ("a job".to_owned(), "a job".to_owned()));
        assert_eq!(named("bull:a:j1:lock"), "lock of a job");
        assert_eq!(named("bull:a:de:d1"), "de");
        assert_eq!(at(Place::Answer, json!({ "done": null }), json!({ "refused": -1 })), "refused instead of null");
    }
}
