//! Who serves a queue, by the names of the server's connections.

use std::collections::{BTreeMap, HashMap};

use operator_core::QueueName;

use crate::error::QueueError;
use crate::keys::connection_name;
use crate::queue::Queue;
use crate::redis::{Redis, RedisError, ServerHandle};

/// A worker as the server's list of connections shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// The worker's own name, if it has one.
    pub name: Option<String>,
    /// Where it connects from.
    pub address: String,
    /// Seconds since it connected.
    pub age_s: u64,
    /// Seconds since its last command.
    pub idle_s: u64,
}

impl Queue {
    /// The workers of this queue, ours and BullMQ's, by the names of their connections. Managed servers that hide
    /// `CLIENT LIST` show none. For several queues, [`workers_of`] asks once.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let mut workers = workers_of(&self.redis, std::slice::from_ref(self)).await?;
        Ok(workers.remove(&self.name).unwrap_or_default())
    }
}

/// The workers of each of these queues, from one look at the server's connections. In a cluster every server is asked,
/// and the one that knows most workers of a queue is believed, because BullMQ's workers connect to all of them.
///
/// # Errors
/// [`QueueError::Redis`].
pub async fn workers_of(redis: &Redis, queues: &[Queue]) -> Result<BTreeMap<QueueName, Vec<WorkerInfo>>, QueueError> {
    let bases = queues.iter().map(|queue| (connection_name(redis.prefix(), &queue.name, None), &queue.name)).collect();
    let mut most: BTreeMap<_, _> = queues.iter().map(|queue| (queue.name.clone(), Vec::new())).collect();
    for server in redis.servers() {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (queue, worker) in list(&server).await?.lines().filter_map(|line| worker(line, &bases)) {
            found.entry(queue.clone()).or_default().push(worker);
        }
        for (queue, workers) in found {
            if most.get(&queue).is_none_or(|most| most.len() < workers.len()) {
                most.insert(queue, workers);
            }
        }
    }
    Ok(most)
}

async fn list(server: &ServerHandle) -> Result<String, RedisError> {
    match server.command("CLIENT", vec!["LIST".into(), "TYPE".into(), "normal".into()]).await {
        Ok(list) => Ok(list.text().unwrap_or_default()),
        Err(RedisError::Command { problem }) if problem.to_ascii_lowercase().contains("unknown command") => {
            tracing::warn!(problem, "the server does not list its connections, so no worker is shown");
            Ok(String::new())
        }
        Err(error) => Err(error),
    }
}

/// One line of `CLIENT LIST`, if it is a worker's, with its queue.
fn worker<'a>(line: &str, bases: &HashMap<String, &'a QueueName>) -> Option<(&'a QueueName, WorkerInfo)> {
    let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let listed = field("name")?;
    // A prefix or a worker's name may contain what stands between them.
    let mut splits = listed.match_indices(":w:").map(|(at, word)| (&listed[..at], Some(&listed[at + word.len()..])));
    let whole = bases.get(listed).map(|queue| (*queue, None));
    let (queue, name) = whole.or_else(|| splits.find_map(|(base, name)| Some((*bases.get(base)?, name))))?;
    let seconds = |name| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let info = WorkerInfo {
        name: name.map(str::to_owned),
        address: field("addr").unwrap_or_default().to_owned(),
        age_s: seconds("age"),
        idle_s: seconds("idle"),
    };
    Some((queue, info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_told_from_other_connections_by_their_names() {
        let (q2, far) = (QueueName::new("q2").unwrap(), QueueName::new("far").unwrap());
        let bases = HashMap::from([("bull:cTI=".to_owned(), &q2), ("a:w:b:ZmFy".to_owned(), &far)]);
        let worker =
            |name: &str| worker(&format!("id=3 addr=127.0.0.1:5 laddr=x name={name} age=12 idle=3 flags=b"), &bases);
        assert_eq!(worker("bull:cTI=").unwrap().1.name, None);
        let (queue, named) = worker("bull:cTI=:w:wn").unwrap();
        assert_eq!((queue, named.name.as_deref(), named.age_s), (&q2, Some("wn"), 12));
        assert_eq!(worker("bull:cTI=:w:a:w:b").unwrap().1.name.as_deref(), Some("a:w:b"));
        let (queue, named) = worker("a:w:b:ZmFy:w:n").unwrap();
        assert_eq!((queue, named.name.as_deref()), (&far, Some("n")));
        for other in ["bull:cTI=:qe", "", "bull:cTI=x", "bull:cTE="] {
            assert_eq!(worker(other), None, "{other}");
        }
    }
}
