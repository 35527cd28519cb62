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
            let (node, ours) = narrow(json(&theirs), json(&own));
            found.push(Unequal { place: Place::Key(key.clone()), node, ours });
        }
    }
    found
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// What is not the same in two values: fields of maps, and the end of lists from where they part.
fn narrow(node: Value, ours: Value) -> (Value, Value) {
    match (node, ours) {
        (Value::Object(mut node), Value::Object(mut ours)) => {
            let shared: Vec<String> = node.keys().filter(|name| ours.contains_key(*name)).cloned().collect();
            for name in shared {
                if let (Some(theirs), Some(own)) = (node.remove(&name), ours.remove(&name))
                    && theirs != own
                {
                    let (theirs, own) = narrow(theirs, own);
                    node.insert(name.clone(), theirs);
                    ours.insert(name, own);
                }
            }
            (Value::Object(node), Value::Object(ours))
        }
        // Shorter lists are easier to read as a whole.
        (Value::Array(node), Value::Array(ours)) if node.len().max(ours.len()) > 8 => {
            let equal = node.iter().zip(&ours).take_while(|(theirs, own)| theirs == own).count();
            (tail(node, equal), tail(ours, equal))
        }
        other => other,
    }
}

fn tail(items: Vec<Value>, from: usize) -> Value {
    std::iter::once(Value::String(format!("{from} equal"))).chain(items.into_iter().skip(from)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let (node, ours) =
            narrow(json!({ "a": 1, "b": { "c": 1, "d": 2 } }), json!({ "a": 1, "b": { "c": 1 }, "e": 3 }));
        assert_eq!((node, ours), (json!({ "b": { "d": 2 } }), json!({ "b": {}, "e": 3 })));
        let (node, ours) = narrow(json!([1, 2, 3, 4, 5, 6, 7, 8, 9]), json!([1, 2, 3]));
        assert_eq!((node, ours), (json!(["3 equal", 4, 5, 6, 7, 8, 9]), json!(["3 equal"])));
    }
}
