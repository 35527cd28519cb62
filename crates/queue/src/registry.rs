//! Which queues there are: those our processes have used, and those that only BullMQ knows.

use std::collections::BTreeSet;

use operator_core::QueueName;

use crate::error::QueueError;
use crate::keys::registry;
use crate::redis::Redis;

/// How many keys one step of the search looks at.
const SCAN_STEP: u64 = 1000;

/// The queues that one of our processes has used or found, in order.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn known_queues(redis: &Redis) -> Result<BTreeSet<QueueName>, QueueError> {
    let names = redis.command("SMEMBERS", vec![registry(redis.prefix()).into()]).await?.into_texts();
    Ok(names.into_iter().filter_map(|name| QueueName::new(name).ok()).collect())
}

/// Looks through all keys for queues that nobody registered, and registers them. The server is asked in small steps; the
/// whole takes as long as it has keys, so call it seldom.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn discover_queues(redis: &Redis) -> Result<BTreeSet<QueueName>, QueueError> {
    let pattern = format!("{}:*:meta", redis.prefix());
    let mut found = known_queues(redis).await?;
    let mut cursor = "0".to_owned();
    loop {
        let args = vec![
            cursor.into(),
            "MATCH".into(),
            pattern.as_str().into(),
            "COUNT".into(),
            SCAN_STEP.into(),
            "TYPE".into(),
            "hash".into(),
        ];
        let mut page = redis.command("SCAN", args).await?.into_list().into_iter();
        cursor = page.next().and_then(|cursor| cursor.text()).unwrap_or_else(|| "0".to_owned());
        let keys = page.next().map(crate::redis::Reply::into_texts).unwrap_or_default();
        for name in keys.iter().filter_map(|key| queue_of_meta(redis.prefix(), key)) {
            if found.insert(name.clone()) {
                redis.command("SADD", vec![registry(redis.prefix()).into(), name.as_str().into()]).await?;
            }
        }
        if cursor == "0" {
            return Ok(found);
        }
    }
}

/// `mail` of `bull:mail:meta`; a key of more segments belongs to something else.
fn queue_of_meta(prefix: &str, key: &str) -> Option<QueueName> {
    let name = key.strip_prefix(prefix)?.strip_prefix(':')?.strip_suffix(":meta")?;
    QueueName::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_known_by_its_meta_key() {
        assert_eq!(queue_of_meta("bull", "bull:mail:meta").unwrap().as_str(), "mail");
        assert_eq!(queue_of_meta("bull", "bull:a:b:meta"), None);
        assert_eq!(queue_of_meta("bull", "bull::meta"), None);
    }
}
