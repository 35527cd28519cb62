//! What a user of Redis must be allowed to do. `docs/redis.md` has the same as lines to type.

use std::collections::BTreeSet;

use super::{Arg, Redis, RedisError};
use crate::keys::registry;
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
const CONNECT: &[&str] = &["CLIENT", "EVAL", "EVALSHA", "INFO", "PING", "SELECT"];
/// Making a queue known.
const REGISTER: &[&str] = &["HSETNX", "SADD"];

impl Role {
    fn scripts(self) -> Vec<&'static Script> {
        match self {
            Self::Producer => vec![&scripts::ADD, &scripts::FLOW],
            Self::Worker => vec![
                &scripts::ADVANCE,
                &scripts::EXTEND,
                &scripts::LOG,
                &scripts::PROGRESS,
                &scripts::RECLAIM,
                &scripts::SETTLE,
                &scripts::STALLED,
            ],
            Self::Dispatcher => scripts::ALL.to_vec(),
        }
    }

    /// Commands that are sent by themselves.
    const fn own(self) -> &'static [&'static str] {
        match self {
            Self::Producer => &[],
            Self::Worker => &["BZPOPMIN", "HGET", "ZADD"],
            Self::Dispatcher => &[
                "DEL",
                "GET",
                "HEXISTS",
                "HGET",
                "HGETALL",
                "HLEN",
                "HMGET",
                "HSCAN",
                "LINDEX",
                "LLEN",
                "LRANGE",
                "LTRIM",
                "SCAN",
                "SCARD",
                "SMEMBERS",
                "SSCAN",
                "UNLINK",
                "XACK",
                "XADD",
                "XAUTOCLAIM",
                "XDEL",
                "XGROUP",
                "XINFO",
                "XLEN",
                "XRANGE",
                "XREAD",
                "XREADGROUP",
                "XREVRANGE",
                "XTRIM",
                "ZCARD",
                "ZCOUNT",
                "ZRANGE",
                "ZRANGEBYSCORE",
                "ZREVRANGE",
            ],
        }
    }

    /// The commands of this role, and some words of the scripts that are none.
    fn words(self) -> BTreeSet<&'static str> {
        let own = CONNECT.iter().chain(REGISTER).chain(self.own()).copied();
        own.chain(self.scripts().into_iter().flat_map(|script| capitals(script.text))).collect()
    }
}

/// The strings of a script that may be names of commands: those of capital letters.
fn capitals(script: &'static str) -> impl Iterator<Item = &'static str> {
    let strings = script.split('"').skip(1).step_by(2);
    strings.filter(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
}

impl Redis {
    /// Asks whether the user of this connection may do what `role` needs; a server before Redis 7 cannot be asked, and
    /// there what is missing shows when it is used.
    ///
    /// # Errors
    /// [`RedisError::Denied`] with the missing commands.
    pub async fn check_rights(&self, role: Role) -> Result<(), RedisError> {
        let words = role.words().into_iter().map(Arg::from).collect();
        let refused = self.script(&scripts::RIGHTS, vec![registry(self.prefix())], words).await?.into_texts();
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
}
