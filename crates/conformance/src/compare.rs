//! What is not the same after a step.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::answer::Answer;
use crate::keyspace::Keyspace;
use crate::verdict::{Place, Unequal};

/// Every place in which the two subjects differ: the answer first, then the keys in order.
pub(crate) fn compare(node: (&Answer, &Keyspace), ours: (&Answer, &Keyspace)) -> Vec<Unequal> {
    let mut found = Vec::new();
    if !node.0.agrees(ours.0) {
        found.push(Unequal { place: Place::Answer, node: json(node.0), ours: json(ours.0) });
    }
    let keys: BTreeSet<&String> = node.1.keys().chain(ours.1.keys()).collect();
    for key in keys {
        let (theirs, own) = (node.1.get(key), ours.1.get(key));
        if theirs != own {
            found.push(Unequal { place: Place::Key(key.clone()), node: json(&theirs), ours: json(&own) });
        }
    }
    found
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
