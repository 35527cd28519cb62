//! The reads of history streams that the server holds. One connection reads all streams, but in a cluster a call cannot
//! span slots: there each slot is read over a connection of its own, side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use operator_core::QueueName;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::keys::{self, Keys};
use crate::redis::{Arg, BlockingConnection, Redis, RedisError, Reply};

/// How many connections one reader opens at most. The streams of further slots are read without waiting for entries.
const MAX_CONNECTIONS: usize = 64;

/// What one read gave, and for which queues it was made.
pub(super) struct Read {
    pub(super) queues: Vec<QueueName>,
    pub(super) answer: Result<Reply, RedisError>,
}

/// What is asked of every stream.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) group: &'static str,
    pub(super) consumer: String,
    pub(super) max: u64,
    pub(super) wait: Duration,
}

/// The connections, each idle or in a read. A read that was begun is kept until its answer is taken, also by a later
/// call: its entries have been handed out.
#[derive(Default)]
pub(super) struct Reads {
    idle: BTreeMap<Option<u16>, BlockingConnection>,
    running: JoinSet<(Option<u16>, BlockingConnection, Read)>,
    /// The slots that are being read.
    busy: Vec<Option<u16>>,
}

impl Reads {
    /// The first answer that holds entries or an error; `None` when none came within the time.
    pub(super) async fn first(&mut self, redis: &Redis, queues: &[QueueName], question: &Question) -> Option<Read> {
        let deadline = Instant::now() + question.wait;
        let mut groups = groups(redis, queues);
        let rest = groups.split_off(groups.len().min(MAX_CONNECTIONS));
        self.begin(redis, groups, question);
        for (_, queues) in rest {
            let answer = redis.command("XREADGROUP", arguments(redis, &queues, question, false)).await;
            if let Some(read) = (Read { queues, answer }).worth_returning() {
                return Some(read);
            }
        }
        // The server lets go of a read a little after its time; what it gives then is taken by the next call.
        let late = deadline + Duration::from_secs(3);
        while let Ok(Some(ended)) = tokio::time::timeout_at(late, self.running.join_next()).await {
            let Ok((slot, connection, read)) = ended else {
                // Nothing in a read panics; if one did, its slot must not stay unread.
                self.busy.clear();
                continue;
            };
            self.busy.retain(|busy| *busy != slot);
            self.idle.insert(slot, connection);
            if let Some(read) = read.worth_returning() {
                return Some(read);
            }
        }
        None
    }

    fn begin(&mut self, redis: &Redis, groups: Vec<(Option<u16>, Vec<QueueName>)>, question: &Question) {
        // A slot whose last queue is gone needs no connection any more.
        self.idle.retain(|slot, _| groups.iter().any(|(known, _)| known == slot));
        for (slot, queues) in groups {
            if self.busy.contains(&slot) {
                continue;
            }
            let connection = self.idle.remove(&slot);
            let mut connection = connection.unwrap_or_else(|| redis.blocking("operator:archive".to_owned()));
            let (args, wait) = (arguments(redis, &queues, question, true), question.wait);
            self.busy.push(slot);
            self.running.spawn(async move {
                let answer = connection.call("XREADGROUP", args, wait).await;
                (slot, connection, Read { queues, answer })
            });
        }
    }
}

impl Read {
    fn worth_returning(self) -> Option<Self> {
        let is_empty = self.answer.as_ref().is_ok_and(|reply| reply.clone().into_list().is_empty());
        (!is_empty).then_some(self)
    }
}

/// The queues that one call can read: all of them, or in a cluster those of each slot.
fn groups(redis: &Redis, queues: &[QueueName]) -> Vec<(Option<u16>, Vec<QueueName>)> {
    let mut groups: BTreeMap<Option<u16>, Vec<QueueName>> = BTreeMap::new();
    for queue in queues {
        let slot = redis.is_cluster().then(|| keys::slot(&stream(redis, queue)));
        groups.entry(slot).or_default().push(queue.clone());
    }
    groups.into_iter().collect()
}

/// The key of a queue's history.
pub(super) fn stream(redis: &Redis, queue: &QueueName) -> String {
    Keys::new(redis.prefix(), queue).key("operator:history")
}

fn arguments(redis: &Redis, queues: &[QueueName], question: &Question, may_wait: bool) -> Vec<Arg> {
    let mut args: Vec<Arg> = vec!["GROUP".into(), question.group.into(), question.consumer.as_str().into()];
    args.extend::<[Arg; 2]>(["COUNT".into(), question.max.into()]);
    if may_wait {
        let wait_ms = u64::try_from(question.wait.as_millis()).unwrap_or(u64::MAX).max(1);
        args.extend::<[Arg; 2]>(["BLOCK".into(), wait_ms.into()]);
    }
    args.push("STREAMS".into());
    args.extend(queues.iter().map(|queue| Arg::from(stream(redis, queue))));
    args.extend(queues.iter().map(|_| Arg::from(">")));
    args
}
