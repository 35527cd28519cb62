//! Parents and their children.

use std::collections::BTreeMap;

use super::view::QueueView;
use super::{Findings, Invariant};
use crate::keyspace::{Content, Keyspace};

/// What became of a child, by the ends of the keys that say so.
const OUTCOMES: [&str; 4] = [":dependencies", ":processed", ":failed", ":unsuccessful"];

pub(super) fn check(keys: &Keyspace, queue: &QueueView<'_>, found: &mut Findings) {
    for (id, _) in queue.jobs() {
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for outcome in OUTCOMES {
            for child in queue.members(&format!("{id}{outcome}")) {
                children.entry(child).or_default().push(&outcome[1..]);
            }
        }
        for (child, outcomes) in &children {
            let problem = format!("has {child} among its {}", outcomes.join(" and its "));
            found.unless(outcomes.len() == 1, Invariant::ChildIsOneThing, queue, id, &problem);
            if outcomes.contains(&"dependencies")
                && let Some(problem) = why_not_pending(keys, child, &queue.key(id))
            {
                found.add(Invariant::PendingChild, queue, id, format!("waits for {child}, which {problem}"));
            }
        }
    }
    for id in queue.members("waiting-children") {
        let pending = queue.members(&format!("{id}:dependencies"));
        found.unless(!pending.is_empty(), Invariant::ParentWaits, queue, id, "waits for no child");
    }
}

fn why_not_pending(keys: &Keyspace, child: &str, parent: &str) -> Option<String> {
    let Some(Content::Hash(fields)) = keys.get(child).map(|entry| &entry.content) else {
        return Some("is no job".to_owned());
    };
    let named = fields.get("parentKey").map(String::as_str);
    if named != Some(parent) {
        return Some(format!("has the parent {}", named.unwrap_or("nobody")));
    }
    let (queue, id) = child.rsplit_once(':')?;
    let completed = keys.get(&format!("{queue}:completed")).map(|entry| &entry.content);
    let has_completed = matches!(completed, Some(Content::Sorted(ids)) if ids.iter().any(|(member, _)| member == id));
    has_completed.then(|| "has completed".to_owned())
}
