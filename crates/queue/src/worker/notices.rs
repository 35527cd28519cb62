//! Hears that jobs of this worker are to be cancelled, on a connection of its own.
//!
//! Who cancels a job leaves its id under a key that carries this worker's id. A notice is a hint to look at the job: one
//! that is lost is made up for by the renewal of locks, which looks at all.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::waiter::{groups, pauses};
use crate::queue::Queue;
use crate::redis::{Arg, BlockingConnection, RedisError, Reply};

/// How long one wait lasts: a broken connection that nobody told of is noticed that late.
const WAIT: Duration = Duration::from_secs(20);

/// How many notices may wait for the driver; renewals make up for more.
const WAITING: usize = 1024;

/// What carries the connection: no name that BullMQ would take for a worker's.
const NAME: &str = "operator:notices";

/// The tasks that listen: one, or in a cluster one for each slot.
pub(super) struct Notices {
    tasks: Vec<JoinHandle<()>>,
    heard: mpsc::Receiver<(usize, String)>,
}

impl Notices {
    /// Listens for the jobs that the worker `id` holds of `queues`.
    pub(super) fn start(queues: &[Queue], id: Uuid) -> Self {
        let (hear, heard) = mpsc::channel(WAITING);
        let listen = |group: Vec<usize>| {
            let connection = queues[*group.first()?].redis.blocking(NAME.to_owned());
            let keys = group.into_iter().map(|queue| (key(&queues[queue], id), queue)).collect();
            Some(tokio::spawn(listen(connection, keys, hear.clone())))
        };
        Self { tasks: groups(queues).into_iter().filter_map(listen).collect(), heard }
    }

    /// The next notice: the position of a queue, and the id of a job.
    pub(super) async fn heard(&mut self) -> (usize, String) {
        match self.heard.recv().await {
            Some(notice) => notice,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn key(queue: &Queue, worker: Uuid) -> String {
    queue.keys.key(&format!("operator:cancel:{worker}"))
}

async fn listen(mut connection: BlockingConnection, keys: Vec<(String, usize)>, hear: mpsc::Sender<(usize, String)>) {
    let mut pauses = pauses();
    loop {
        match pop(&mut connection, &keys).await {
            Ok(notice) => {
                pauses = self::pauses();
                // A driver that has no room for more finds out with its next renewal.
                if let Some(notice) = notice
                    && hear.try_send(notice).is_err_and(|error| matches!(error, mpsc::error::TrySendError::Closed(_)))
                {
                    return;
                }
            }
            Err(error) => {
                let pause = pauses.next().unwrap_or(Duration::from_secs(2));
                tracing::debug!(%error, "cannot listen for cancellations; renewals look for them");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn pop(
    connection: &mut BlockingConnection,
    keys: &[(String, usize)],
) -> Result<Option<(usize, String)>, RedisError> {
    let mut args: Vec<Arg> = keys.iter().map(|(key, _)| Arg::from(key)).collect();
    args.push(WAIT.as_secs().to_string().into());
    let popped = connection.call("BZPOPMIN", args, WAIT).await?.into_list();
    let [key, id, _] = popped.as_slice() else { return Ok(None) };
    let queue = key.text().and_then(|key| keys.iter().find(|(known, _)| *known == key)).map(|(_, queue)| *queue);
    Ok(queue.zip(Reply::text(id)))
}
