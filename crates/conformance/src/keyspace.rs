//! Everything a database holds, taken in one step of the server.

use std::collections::{BTreeMap, BTreeSet};

use operator_testkit::{RedisClient, Reply};
use serde::Serialize;

/// Keys with what they hold.
pub type Keyspace = BTreeMap<String, Entry>;

/// A key's content and whether it will expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Type and content.
    pub content: Content,
    /// Whether the key has a time to live; how long depends on when one looks.
    pub expires: bool,
}

/// A key's type and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// A string.
    Text(String),
    /// A list, from left to right.
    List(Vec<String>),
    /// A set.
    Set(BTreeSet<String>),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A sorted set as member and score, from the lowest score, scores as the server prints them.
    Sorted(Vec<(String, String)>),
    /// The fields of a stream's entries in order, from the oldest. Ids are the server's time, so they are left out.
    Stream(Vec<Vec<(String, String)>>),
}

/// Reads a whole database: a step of its own for the server, however many keys there are.
const READ: &str = r#"
redis.call("SELECT", ARGV[1])
local found = {}
for _, key in ipairs(redis.call("KEYS", "*")) do
    local kind, content = redis.call("TYPE", key).ok, nil
    if kind == "string" then content = redis.call("GET", key)
    elseif kind == "list" then content = redis.call("LRANGE", key, 0, -1)
    elseif kind == "set" then content = redis.call("SMEMBERS", key)
    elseif kind == "hash" then content = redis.call("HGETALL", key)
    elseif kind == "zset" then content = redis.call("ZRANGE", key, 0, -1, "WITHSCORES")
    elseif kind == "stream" then
        content = {}
        for _, entry in ipairs(redis.call("XRANGE", key, "-", "+")) do content[#content + 1] = entry[2] end
    end
    found[#found + 1] = { key, kind, redis.call("PTTL", key) >= 0 and 1 or 0, content }
end
return found
"#;

/// Everything in database `number`.
///
/// # Panics
/// When the server is gone or a key has a type that no subject writes.
pub async fn read(redis: &RedisClient, number: u8) -> Keyspace {
    let reply = redis.call(&["EVAL", READ, "0", &number.to_string()]).await.ok();
    reply.list().iter().map(entry).collect()
}

/// A database that nobody works in.
const SPARE: u8 = 15;

/// Makes database `to` hold what database `from` holds. What is private to one subject stays.
///
/// # Panics
/// When the server is gone.
pub async fn copy(redis: &RedisClient, from: u8, to: u8) {
    const COPY: &str = r#"
redis.call("SELECT", ARGV[2])
for _, key in ipairs(redis.call("KEYS", "*")) do
    if not key:find(":operator:", 1, true) then redis.call("DEL", key) end
end
redis.call("SELECT", ARGV[1])
for _, key in ipairs(redis.call("KEYS", "*")) do
    if redis.call("TYPE", key).ok ~= "set" then
        redis.call("COPY", key, key, "DB", ARGV[2])
    else
        -- A copy's members may come in another order, so that both get a copy.
        redis.call("COPY", key, key, "DB", ARGV[3], "REPLACE")
        redis.call("SELECT", ARGV[3])
        for index = 1, 2 do redis.call("COPY", key, key, "DB", ARGV[index], "REPLACE") end
        redis.call("DEL", key)
        redis.call("SELECT", ARGV[1])
    end
end
"#;
    let (from, to, spare) = (from.to_string(), to.to_string(), SPARE.to_string());
    redis.call(&["EVAL", COPY, "0", &from, &to, &spare]).await.ok();
}

/// Runs a command on database `number`.
///
/// # Panics
/// When the server is gone.
pub async fn command(redis: &RedisClient, number: u8, command: &[String]) -> Reply {
    const RUN: &str = r#"redis.call("SELECT", ARGV[1]) return redis.call(unpack(ARGV, 2))"#;
    let database = number.to_string();
    let mut words = vec!["EVAL", RUN, "0", &database];
    words.extend(command.iter().map(String::as_str));
    redis.call(&words).await
}

fn entry(reply: &Reply) -> (String, Entry) {
    let [key, kind, expires, content] = reply.list() else { panic!("a key is four values, not {reply:?}") };
    let content = match kind.text().as_str() {
        "string" => Content::Text(content.text()),
        "list" => Content::List(content.texts()),
        "set" => Content::Set(content.texts().into_iter().collect()),
        "hash" => Content::Hash(content.map()),
        "zset" => Content::Sorted(pairs(content)),
        "stream" => Content::Stream(content.list().iter().map(pairs).collect()),
        other => panic!("{} has the type {other}, which no subject writes", key.text()),
    };
    (key.text(), Entry { content, expires: expires.int() == 1 })
}

fn pairs(flat: &Reply) -> Vec<(String, String)> {
    flat.list().chunks_exact(2).map(|pair| (pair[0].text(), pair[1].text())).collect()
}
