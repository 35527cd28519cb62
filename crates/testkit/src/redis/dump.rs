//! Every key under a prefix with its type and content, to compare what two clients leave behind.

use std::collections::{BTreeMap, BTreeSet};

use super::{RedisClient, Reply};

/// A key's content and whether it will expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type and content.
    pub content: Content,
    /// Whether the key has a time to live; how long depends on when one looks.
    pub expires: bool,
}

/// A key's type and content. Bytes that are not UTF-8 are shown escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A string.
    Text(String),
    /// A list, from left to right.
    List(Vec<String>),
    /// A set.
    Set(BTreeSet<String>),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A sorted set as member and score, from the lowest score.
    Sorted(Vec<(String, String)>),
    /// A stream as id and fields, from the oldest entry.
    Stream(Vec<(String, Vec<(String, String)>)>),
}

impl RedisClient {
    /// Every key that begins with `prefix`.
    ///
    /// # Panics
    ///
    /// When a key has a type no client of ours writes.
    pub async fn dump(&self, prefix: &str) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        for key in self.keys(prefix).await {
            if let Some(content) = self.content(&key).await {
                let expires = self.call(&["PTTL", &key]).await.int() >= 0;
                entries.insert(key, Entry { content, expires });
            }
        }
        entries
    }

    /// The names of all keys that begin with `prefix`, in order.
    pub async fn keys(&self, prefix: &str) -> BTreeSet<String> {
        let pattern = format!("{}*", escape_glob(prefix));
        let mut cursor = "0".to_owned();
        let mut keys = BTreeSet::new();
        loop {
            let page = self.call(&["SCAN", &cursor, "MATCH", &pattern, "COUNT", "1000"]).await.ok();
            keys.extend(page.list()[1].texts());
            cursor = page.list()[0].text();
            if cursor == "0" {
                return keys;
            }
        }
    }

    /// None when the key has gone since it was listed.
    async fn content(&self, key: &str) -> Option<Content> {
        let kind = self.call(&["TYPE", key]).await.text();
        let content = match kind.as_str() {
            "none" => return None,
            "string" => Content::Text(self.call(&["GET", key]).await.optional_text()?),
            "list" => Content::List(self.call(&["LRANGE", key, "0", "-1"]).await.texts()),
            "set" => Content::Set(self.call(&["SMEMBERS", key]).await.texts().into_iter().collect()),
            "hash" => Content::Hash(self.call(&["HGETALL", key]).await.map()),
            "zset" => Content::Sorted(pairs(&self.call(&["ZRANGE", key, "0", "-1", "WITHSCORES"]).await)),
            "stream" => {
                let entries = self.call(&["XRANGE", key, "-", "+"]).await;
                Content::Stream(entries.list().iter().map(stream_entry).collect())
            }
            other => panic!("{key} has the type {other}, which nothing of ours writes"),
        };
        Some(content)
    }
}

fn stream_entry(entry: &Reply) -> (String, Vec<(String, String)>) {
    (entry.list()[0].text(), pairs(&entry.list()[1]))
}

fn pairs(flat: &Reply) -> Vec<(String, String)> {
    flat.list().chunks_exact(2).map(|pair| (pair[0].text(), pair[1].text())).collect()
}

fn escape_glob(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if "*?[]\\".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
