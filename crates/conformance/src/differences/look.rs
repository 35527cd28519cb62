//! Looking things up in a keyspace.

use crate::keyspace::{Content, Keyspace};

/// A field of a hash.
pub(super) fn field<'a>(keys: &'a Keyspace, key: &str, name: &str) -> Option<&'a str> {
    match &keys.get(key)?.content {
        Content::Hash(fields) => fields.get(name).map(String::as_str),
        _ => None,
    }
}

/// A field of a hash as a number, 0 when there is none.
pub(super) fn number(keys: &Keyspace, key: &str, name: &str) -> u64 {
    field(keys, key, name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The items of a list, from the left.
pub(super) fn list<'a>(keys: &'a Keyspace, key: &str) -> &'a [String] {
    match keys.get(key).map(|entry| &entry.content) {
        Some(Content::List(items)) => items,
        _ => &[],
    }
}

/// The members of a sorted set with their scores.
pub(super) fn sorted<'a>(keys: &'a Keyspace, key: &str) -> &'a [(String, String)] {
    match keys.get(key).map(|entry| &entry.content) {
        Some(Content::Sorted(members)) => members,
        _ => &[],
    }
}

/// The members of a sorted set.
pub(super) fn members(keys: &Keyspace, key: &str) -> Vec<String> {
    sorted(keys, key).iter().map(|(member, _)| member.clone()).collect()
}

/// The entries of a stream.
pub(super) fn stream<'a>(keys: &'a Keyspace, key: &str) -> &'a [Vec<(String, String)>] {
    match keys.get(key).map(|entry| &entry.content) {
        Some(Content::Stream(entries)) => entries,
        _ => &[],
    }
}

/// A field of a stream's entry.
pub(super) fn of_entry<'a>(entry: &'a [(String, String)], name: &str) -> Option<&'a str> {
    entry.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}
