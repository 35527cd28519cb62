//! Which queues there are: those our processes have used, and those that only BullMQ knows.

use std::collections::BTreeSet;

use operator_core::QueueName;

use crate::error::QueueError;
use crate::keys::{Keys, registry};
use crate::redis::{Redis, ServerHandle};

/// How many keys one step of the search looks at.
const SCAN_STEP: u64 = 1000;

/// The queues that one of our processes has used or found, in order.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn known_queues(redis: &Redis) -> Result<BTreeSet<QueueName>, QueueError> {
    let names = redis.command("SMEMBERS", vec![registry(redis.prefix()).into()]).await?.into_texts();
    Ok(names.into_iter().filter_map(|name| usable(redis, name)).collect())
}

/// Looks through all keys for queues that nobody registered, and registers them. Each server is asked in small steps;
/// the whole takes as long as it has keys, so call it seldom. `go_on` is asked before each step: when it says no, what
/// was found so far is returned.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn discover_queues(
    redis: &Redis,
    mut go_on: impl FnMut() -> bool + Send,
) -> Result<BTreeSet<QueueName>, QueueError> {
    let mut found = known_queues(redis).await?;
    for server in redis.servers() {
        discover_on(redis, &server, &mut found, &mut go_on).await?;
    }
    Ok(found)
}

async fn discover_on(
    redis: &Redis,
    server: &ServerHandle,
    found: &mut BTreeSet<QueueName>,
    go_on: &mut (impl FnMut() -> bool + Send),
) -> Result<(), QueueError> {
    let pattern = format!("{}:*:meta", glob_escaped(redis.prefix()));
    let mut cursor = "0".to_owned();
    while go_on() {
        let args = vec![
            cursor.into(),
            "MATCH".into(),
            pattern.as_str().into(),
            "COUNT".into(),
            SCAN_STEP.into(),
            "TYPE".into(),
            "hash".into(),
        ];
        let mut page = server.command("SCAN", args).await?.into_list().into_iter();
        cursor = page.next().and_then(|cursor| cursor.text()).unwrap_or_else(|| "0".to_owned());
        let keys = page.next().map(crate::redis::Reply::into_texts).unwrap_or_default();
        let names = keys.iter().filter_map(|key| queue_of_meta(redis.prefix(), key));
        for name in names.filter_map(|name| usable(redis, name)) {
            if found.insert(name.clone()) {
                redis.command("SADD", vec![registry(redis.prefix()).into(), name.as_str().into()]).await?;
            }
        }
        if cursor == "0" {
            break;
        }
    }
    Ok(())
}

/// The queue of this name, unless nothing can be done with it: a cluster spreads one without a hash tag.
fn usable(redis: &Redis, name: impl Into<String>) -> Option<QueueName> {
    let name = QueueName::new(name).ok()?;
    redis.check_hash_tag(&Keys::new(redis.prefix(), &name)).is_ok().then_some(name)
}

/// A pattern that matches `text` and nothing else.
pub(crate) fn glob_escaped(text: &str) -> String {
    let escape = |letter: char| ["*?[]\\".contains(letter).then_some('\\'), Some(letter)];
    text.chars().flat_map(escape).flatten().collect()
}

/// `mail` of `bull:mail:meta`; a key of more segments belongs to something else.
fn queue_of_meta<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let name = key.strip_prefix(prefix)?.strip_prefix(':')?.strip_suffix(":meta")?;
    (!name.is_empty() && !name.contains(':')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_known_by_its_meta_key() {
        assert_eq!(queue_of_meta("bull", "bull:mail:meta"), Some("mail"));
        assert_eq!(queue_of_meta("bull", "bull:a:b:meta"), None);
        assert_eq!(queue_of_meta("bull", "bull::meta"), None);
    }
}
