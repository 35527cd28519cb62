//! What must differ between two clients of one wire is made equal here, and nothing else. Each rule says why.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::keyspace::{Content, Entry, Keyspace};
use crate::operation::Operation;

/// The ids that the subjects made up, with the names that stand for them. Both share them: a copied key holds the
/// other's ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aliases {
    /// By queue and id.
    names: BTreeMap<(String, String), String>,
    count: usize,
}

impl Aliases {
    pub(crate) fn bind(&mut self, queue: &str, id: &str, name: &str) {
        self.names.insert((queue.to_owned(), id.to_owned()), name.to_owned());
    }

    /// Gives one name to two ids of the same job that were made up, unless they have one.
    pub(crate) fn pair(&mut self, queue: &str, node: &str, ours: &str) {
        if node == ours || self.id(queue, node) == self.id(queue, ours) {
            return;
        }
        self.count += 1;
        let name = format!("#{}", self.count);
        self.bind(queue, node, &name);
        self.bind(queue, ours, &name);
    }

    /// Pairs ids that no answer told: those of jobs that were not added, in the events and in what waits for the end
    /// of another job. Only an id of the form that ours have is taken for one.
    pub(crate) fn discover(&mut self, node: &Keyspace, ours: &Keyspace) {
        for (key, entry) in node {
            let Some(other) = ours.get(key) else { continue };
            let queue = key.split(':').nth(1).unwrap_or_default();
            match (&entry.content, &other.content) {
                (Content::Stream(theirs), Content::Stream(own)) => {
                    // Ours may have been copied from theirs.
                    let theirs = theirs.iter().filter(|entry| !is_of_5_alone(entry));
                    let own = own.iter().filter(|entry| !is_of_5_alone(entry));
                    let fields = theirs.zip(own).flat_map(|(theirs, own)| theirs.iter().zip(own));
                    for ((name, theirs), (_, own)) in fields {
                        if (name == "jobId" || name == "deduplicatedJobId") && is_uuid(own) {
                            self.pair(queue, theirs, own);
                        }
                    }
                }
                (Content::Hash(theirs), Content::Hash(own)) => {
                    if let (Some(theirs), Some(own)) = (theirs.get("jid"), own.get("jid"))
                        && is_uuid(own)
                    {
                        self.pair(queue, theirs, own);
                    }
                }
                _ => {}
            }
        }
    }

    /// An id of `queue`: exactly the id, because BullMQ's own are small numbers.
    fn id(&self, queue: &str, id: &str) -> String {
        let known = self.names.get(&(queue.to_owned(), id.to_owned()));
        known.cloned().unwrap_or_else(|| id.to_owned())
    }

    /// Any text with whole job keys in it, such as a key or the reason of a parent's failure.
    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for ((queue, id), name) in &self.names {
            let key = format!("bull:{queue}:{id}");
            let mut from = 0;
            while let Some(at) = text[from..].find(&key).map(|at| at + from) {
                let end = at + key.len();
                from = end;
                if !text[end..].starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
                    let named = format!("bull:{queue}:{name}");
                    text.replace_range(at..end, &named);
                    from = at + named.len();
                }
            }
        }
        text
    }

    /// A result about a queue: ids stand in it as they are. A job in it may name another queue as its own.
    pub(crate) fn value(&self, value: &Value, queue: &str) -> Value {
        match value {
            Value::String(text) => {
                let id = self.id(queue, text);
                Value::String(if id == *text { self.text(text) } else { id })
            }
            Value::Array(items) => items.iter().map(|item| self.value(item, queue)).collect(),
            Value::Object(fields) => {
                let queue = fields.get("queue").and_then(Value::as_str).unwrap_or(queue);
                let fields = fields.iter().map(|(name, value)| (self.text(name), self.value(value, queue)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// An answer about a queue with generated ids by their names; ids in no order of their own are in that of their names.
pub(crate) fn answer(answer: Answer, operation: &Operation, aliases: &Aliases, queue: &str) -> Answer {
    let Answer::Done(value) = answer else { return answer };
    let mut value = aliases.value(&value, queue);
    if matches!(operation, Operation::GetScheduler(_) | Operation::GetSchedulers(_)) {
        value = with_plain_options(value);
    }
    if matches!(operation, Operation::Clean(_) | Operation::StalledCheck(_)) {
        value.as_array_mut().into_iter().for_each(|ids| ids.sort_by(|a, b| a.as_str().cmp(&b.as_str())));
    }
    Answer::Done(value)
}

/// Schedulers whose templates spell their options as jobs do.
fn with_plain_options(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(with_plain_options).collect(),
        Value::Object(mut fields) => {
            if let Some(opts) = fields.get_mut("opts") {
                *opts = without_defaults(opts.take());
            }
            Value::Object(fields)
        }
        other => other,
    }
}

/// The keyspace in the form in which two can be compared.
pub(crate) fn keyspace(raw: Keyspace, aliases: &Aliases) -> Keyspace {
    raw.into_iter().filter(|(key, _)| !is_private(key)).map(|(key, entry)| normal(&key, entry, aliases)).collect()
}

/// The `operator:` keys are ours alone: the registry of queues and the history stream. BullMQ never looks at them.
pub(crate) fn is_private(key: &str) -> bool {
    key == "bull::operator:queues" || key.split(':').nth(2) == Some("operator")
}

fn normal(key: &str, entry: Entry, aliases: &Aliases) -> (String, Entry) {
    let mut words = key.splitn(3, ':').skip(1);
    let (queue, suffix) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let id = |text: &String| {
        // Children and parents are kept as whole keys.
        if text.starts_with("bull:") { aliases.text(text) } else { aliases.id(queue, text) }
    };
    let content = match entry.content {
        Content::Text(text) if suffix.starts_with("de:") => Content::Text(id(&text)),
        Content::Text(text) => Content::Text(text),
        Content::List(items) => Content::List(items.iter().map(id).collect()),
        Content::Set(items) => Content::Set(items.iter().map(id).collect()),
        // Its members are the words of the wire, and look like ids.
        Content::Sorted(items) if suffix == "marker" => Content::Sorted(items),
        Content::Sorted(items) => sorted(items.iter().map(|(member, score)| (id(member), score.clone())).collect()),
        Content::Hash(fields) => Content::Hash(
            fields
                .iter()
                .filter(|(name, _)| !is_left_out(name))
                .map(|(name, value)| (aliases.text(name), field(queue, name, value, aliases)))
                .collect(),
        ),
        Content::Stream(entries) => Content::Stream(
            entries.iter().filter(|entry| !is_of_5_alone(entry)).map(|entry| event(queue, entry, aliases)).collect(),
        ),
    };
    (aliases.text(key), Entry { content, expires: entry.expires })
}

/// Members of one score stand in the order of their names; generated ids change places when they get theirs.
fn sorted(mut items: Vec<(String, String)>) -> Content {
    let score = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    items.sort_by(|(a, low), (b, high)| score(low).total_cmp(&score(high)).then_with(|| a.cmp(b)));
    Content::Sorted(items)
}

/// `version` names the client that used the queue last, and each writes it at its own times. BullMQ 5 also notes the id of
/// a scheduler's next job (`nrjid`), which version 6 dropped.
fn is_left_out(field: &str) -> bool {
    field == "version" || field == "nrjid"
}

/// A field of a hash. BullMQ passes options through msgpack and the server's JSON, which orders the names as it likes,
/// prints empty lists as `{}` and spells numbers its own way; everything else is compared byte by byte.
fn field(queue: &str, name: &str, value: &str, aliases: &Aliases) -> String {
    match name {
        "opts" | "parent" | "pd" => match serde_json::from_str::<Value>(value) {
            Ok(json) => without_defaults(canonical(json, queue, aliases)).to_string(),
            Err(_) => value.to_owned(),
        },
        "jid" => aliases.id(queue, value),
        _ => aliases.text(value),
    }
}

/// BullMQ 5 announces a deduplicated job twice, the first time under the older word; version 6 dropped that.
fn is_of_5_alone(entry: &[(String, String)]) -> bool {
    entry.first().is_some_and(|(name, value)| name == "event" && value == "debounced")
}

fn event(queue: &str, entry: &[(String, String)], aliases: &Aliases) -> Vec<(String, String)> {
    let value = |name: &str, value: &str| match name {
        "jobId" | "deduplicatedJobId" => aliases.id(queue, value),
        _ => aliases.text(value),
    };
    entry.iter().map(|(name, text)| (name.clone(), value(name, text))).collect()
}

/// BullMQ keeps an option that says what would hold without it; for us it is not there.
fn without_defaults(json: Value) -> Value {
    const OFF_OR_ZERO: [&str; 7] = ["delay", "priority", "lifo", "fpof", "cpof", "idof", "rdof"];
    let says_nothing = |name: &str, value: &Value| {
        OFF_OR_ZERO.contains(&name) && (*value == Value::Bool(false) || value.as_i64() == Some(0))
    };
    let Value::Object(fields) = json else { return json };
    let said = fields.into_iter().filter(|(name, value)| !says_nothing(name, value));
    let respelled = |(name, value): (String, Value)| {
        let value = match name.as_str() {
            "removeOnComplete" | "removeOnFail" => limits(value),
            // In the template of a scheduler; other jobs have the long form when they are added.
            "backoff" if value.is_number() => json!({ "type": "fixed", "delay": value }),
            _ => value,
        };
        (name, value)
    };
    said.map(respelled).collect()
}

/// A number is short for a count, and `true` and `false` are for none and all: a policy has one spelling with us.
fn limits(policy: Value) -> Value {
    match policy {
        Value::Bool(removes) => json!({ "count": if removes { 0 } else { -1 } }),
        Value::Number(count) => json!({ "count": count }),
        other => other,
    }
}

/// Names in order, numbers in one spelling, empty lists as empty maps, generated ids by their names.
fn canonical(value: Value, queue: &str, aliases: &Aliases) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), one_spelling),
        Value::Array(items) if items.is_empty() => Value::Object(Map::new()),
        Value::Array(items) => items.into_iter().map(|item| canonical(item, queue, aliases)).collect(),
        Value::Object(fields) => {
            // A parent may live in another queue.
            let home = fields.get("queueKey").or_else(|| fields.get("queue")).and_then(Value::as_str);
            let home = home.and_then(|key| key.split(':').nth(1)).unwrap_or(queue).to_owned();
            let rename = |name: &str, value| match value {
                Value::String(id) if name == "id" || name == "jobId" => Value::String(aliases.id(&home, &id)),
                other => canonical(other, &home, aliases),
            };
            let ordered: BTreeMap<String, Value> =
                fields.into_iter().map(|(name, value)| (name.clone(), rename(&name, value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        other => other,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole and within a number's exact range")]
fn one_spelling(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { (number as i64).into() } else { number.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(fields: &[(&str, &str)]) -> Entry {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Entry { content: Content::Hash(fields), expires: false }
    }

    #[test]
    fn options_are_compared_as_json_and_data_byte_by_byte() {
        let ours =
            hash(&[("opts", r#"{"attempts":3,"backoff":{"type":"fixed","delay":1e3}}"#), ("data", "{\"a\": 1}")]);
        let theirs =
            hash(&[("opts", r#"{"backoff":{"delay":1000,"type":"fixed"},"attempts":3.0}"#), ("data", "{\"a\":1}")]);
        let aliases = Aliases::default();
        let (Content::Hash(ours), Content::Hash(theirs)) =
            (normal("bull:q:a", ours, &aliases).1.content, normal("bull:q:a", theirs, &aliases).1.content)
        else {
            panic!("both are hashes")
        };
        assert_eq!(ours["opts"], theirs["opts"]);
        assert_ne!(ours["data"], theirs["data"]);
    }

    #[test]
    fn generated_ids_get_names_only_where_ids_stand() {
        let mut aliases = Aliases::default();
        aliases.bind("q", "1", "#1");
        assert_eq!(
            aliases.text("child bull:q:1 failed, bull:q:12 did not"),
            "child bull:q:#1 failed, bull:q:12 did not"
        );
        let job = hash(&[("priority", "1"), ("parent", r#"{"id":"1","queueKey":"bull:q"}"#)]);
        let (key, entry) = normal("bull:q:1", job, &aliases);
        assert_eq!(key, "bull:q:#1");
        assert_eq!(entry, hash(&[("priority", "1"), ("parent", r##"{"id":"#1","queueKey":"bull:q"}"##)]));
    }

    #[test]
    fn our_own_keys_are_left_out() {
        assert!(is_private("bull::operator:queues") && is_private("bull:q:operator:history"));
        assert!(!is_private("bull:q:operators") && !is_private("bull:q:events"));
    }
}
