//! What a user of Redis must be allowed to do. `docs/redis.md` has the same as lines to type.

use std::collections::BTreeSet;

use super::{Arg, Redis, RedisError};
use crate::keys::trial;
use crate::scripts::{self, Script};

/// What a process does with queues, and so which commands it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Adds jobs.
    Producer,
    /// Runs jobs.
    Worker,
    /// Does everything a dispatcher does: adds, reads, administers, archives.
    Dispatcher,
}

/// What every connection begins with. `INFO` shows whether the server is fit.
const CONNECT: &[&str] = &["EVAL", "EVALSHA", "INFO", "PING"];
/// Making a queue known.
const REGISTER: &[&str] = &["HSETNX", "SADD"];

impl Role {
    fn scripts(self) -> Vec<&'static Script> {
        match self {
            Self::Producer => vec![&scripts::ADD, &scripts::FLOW],
            // A running job may add others.
            Self::Worker => vec![
                &scripts::ADD,
                &scripts::ADVANCE,
                &scripts::EXTEND,
                &scripts::FLOW,
                &scripts::LOG,
                &scripts::PROGRESS,
                &scripts::RECLAIM,
                &scripts::SETTLE,
                &scripts::STALLED,
                &scripts::UPDATE_DATA,
            ],
            Self::Dispatcher => scripts::ALL.to_vec(),
        }
    }

    /// Commands that are sent by themselves.
    const fn own(self) -> &'static str {
        match self {
            Self::Producer => "",
            Self::Worker => "BZPOPMIN DEL HGET HGETALL HLEN HMGET HSET MGET SADD SET SMEMBERS SREM ZADD",
            Self::Dispatcher => {
                "DEL GET HDEL HEXISTS HGET HGETALL HKEYS HLEN HMGET HSCAN HSET LINDEX LLEN LRANGE LTRIM MGET PTTL SCAN SCARD \
                 SET SMEMBERS SREM SSCAN UNLINK XACK XADD XAUTOCLAIM XDEL XGROUP XINFO XLEN XRANGE XREAD XREADGROUP \
                 XREVRANGE XTRIM ZADD ZCARD ZCOUNT ZRANGE ZRANGEBYSCORE ZREVRANGE ZSCAN"
            }
        }
    }

    /// The commands of this role, and some words of the scripts that are none.
    fn words(self) -> BTreeSet<&'static str> {
        let own = CONNECT.iter().chain(REGISTER).copied().chain(self.own().split(' ').filter(|name| !name.is_empty()));
        own.chain(self.scripts().into_iter().flat_map(|script| capitals(script.text))).collect()
    }
}

/// The strings of a script that may be names of commands: those of capital letters.
fn capitals(script: &'static str) -> impl Iterator<Item = &'static str> {
    let strings = script.split('"').skip(1).step_by(2);
    strings.filter(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
}

impl Redis {
    /// Tries whether the user of this connection may do what `role` needs, on a key of its own and without effect.
    ///
    /// # Errors
    /// [`RedisError::Denied`] with the missing commands.
    pub async fn check_rights(&self, role: Role) -> Result<(), RedisError> {
        let words = role.words();
        // No script may block, so this one is tried by itself.
        if words.contains("BZPOPMIN") {
            self.command("BZPOPMIN", vec![trial(self.prefix()).into(), "0.001".into()]).await?;
        }
        let words = words.into_iter().map(Arg::from).collect();
        let refused =
            self.script(&scripts::RIGHTS, std::iter::once(trial(self.prefix())).collect(), words).await?.into_texts();
        if refused.is_empty() {
            return Ok(());
        }
        Err(RedisError::Denied { problem: format!("{} on {}:*", refused.join(", "), self.prefix()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_scripts_are_found_wherever_they_are_named() {
        let words: Vec<_> = capitals(r#"redis.call(lifo and "RPUSH" or "LPUSH", KEYS[1], "id", "NX")"#).collect();
        assert_eq!(words, ["RPUSH", "LPUSH"]);
        assert!(Role::Worker.words().is_superset(&["EVALSHA", "ZADD", "XADD", "HSETNX"].into()));
        assert!(Role::Dispatcher.words().is_superset(&Role::Producer.words()));
    }

    #[test]
    fn every_command_that_is_sent_by_itself_is_in_a_role() {
        let known: BTreeSet<&str> = Role::Dispatcher.words().union(&Role::Worker.words()).copied().collect();
        let mut sources = String::new();
        read_all(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
        let calls = ["command(", "call(", "("].map(|start| format!("{start}\""));
        for line in sources.lines() {
            // A command is the first argument of a call, or the first of a pair with its arguments.
            let is_sent = |start: &String| line.contains(start) && (start != &calls[2] || line.contains("\", vec!["));
            let Some(start) = calls.iter().find(|start| is_sent(start)) else { continue };
            let name = line.split_once(start).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
            if name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase()) && name != "CLIENT" {
                assert!(known.contains(name), "name {name} in the roles that send it: {line}");
            }
        }
    }

    fn read_all(folder: &std::path::Path, sources: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                // This module speaks for itself, and its tests send commands that nobody else does.
                if entry.file_name() != "redis" {
                    read_all(&entry.path(), sources);
                }
            } else {
                sources.push_str(&std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
}
