//! Listening to a queue: one task with a connection of its own, which waits at the stream and passes on what comes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::event::read_entry;
use super::position::{Position, StreamInfo};
use super::{EventEntry, EventId, Gap};
use crate::error::QueueError;
use crate::keys::connection_name;
use crate::queue::Queue;
use crate::redis::{Arg, BlockingConnection, Redis, RedisError, Reply};

/// How many entries are read at a time: what a slow listener makes us hold.
const PAGE: u64 = 100;

/// How many deliveries wait for the listener beside the page that is being passed on.
const AHEAD: usize = 16;

/// How long one call waits at the stream: also how long a dead connection or a removed stream may go unnoticed.
const BLOCK: Duration = Duration::from_secs(5);

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// With the next event.
    #[default]
    Now,
    /// With the oldest entry of the stream.
    Beginning,
    /// With the entry after this one.
    After(EventId),
}

/// How to listen.
#[derive(Debug, Clone, Default)]
pub struct EventsOptions {
    /// Where to begin.
    pub start: StartAt,
    /// The name of the connection; BullMQ's name for listeners unless given.
    pub connection_name: Option<String>,
}

/// What a subscription delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// An entry of the stream.
    Event(EventEntry),
    /// Entries before the next event are gone.
    Gap(Gap),
}

/// A subscription to the events of a queue. It outlives broken connections and misses nothing that is still in the
/// stream; what is not, it tells. Dropping it ends it.
#[derive(Debug)]
pub struct Events {
    /// Filled by the task, which waits while it is full.
    deliveries: mpsc::Receiver<Delivery>,
    task: JoinHandle<()>,
}

impl Queue {
    /// Listens to the queue's events. From the return on nothing is missed.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn events(&self, options: EventsOptions) -> Result<Events, QueueError> {
        Ok(subscribe(self, options).await?)
    }
}

pub(super) async fn subscribe(queue: &Queue, options: EventsOptions) -> Result<Events, RedisError> {
    let (redis, key) = (&queue.redis, queue.keys.key("events"));
    let info = StreamInfo::read(redis, &key).await?;
    let name =
        options.connection_name.unwrap_or_else(|| format!("{}:qe", connection_name(redis.prefix(), &queue.name, None)));
    let (sender, deliveries) = mpsc::channel(AHEAD);
    let subscriber = Subscriber {
        connection: redis.blocking(name),
        redis: redis.clone(),
        position: Position::new(options.start, &info),
        key,
        sender,
    };
    Ok(Events { deliveries, task: tokio::spawn(subscriber.run()) })
}

impl Events {
    /// The next event or gap; waits for it. `None` only when the runtime is shutting down. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }

    /// Ends the subscription and waits until its task has.
    pub async fn stop(self) {
        drop(self.deliveries);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task of a subscription did not end well");
        }
    }
}

impl Stream for Events {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.deliveries.poll_recv(context)
    }
}

/// The task behind [`Events`].
struct Subscriber {
    connection: BlockingConnection,
    /// For questions that are answered at once.
    redis: Redis,
    key: String,
    position: Position,
    sender: mpsc::Sender<Delivery>,
}

impl Subscriber {
    async fn run(mut self) {
        let listener = self.sender.clone();
        let mut pauses = pauses();
        let mut is_cut_off = false;
        loop {
            let read = tokio::select! {
                () = listener.closed() => return,
                read = self.read() => read,
            };
            match read {
                Ok(deliveries) => {
                    (pauses, is_cut_off) = (self::pauses(), false);
                    for delivery in deliveries {
                        if self.sender.send(delivery).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    if !is_cut_off {
                        tracing::warn!(key = self.key, %error, "cannot read events; trying until it works again");
                        is_cut_off = true;
                    }
                    let pause = pauses.next().unwrap_or(BLOCK);
                    tokio::select! {
                        () = listener.closed() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Waits for a page. The position moves only when all that belongs to the page is known, so an error loses nothing.
    async fn read(&mut self) -> Result<Vec<Delivery>, RedisError> {
        let block_ms = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
        let mut args: Vec<Arg> = vec!["COUNT".into(), PAGE.into(), "BLOCK".into(), block_ms.into(), "STREAMS".into()];
        args.extend([Arg::from(&self.key), Arg::from(self.position.last.to_string())]);
        let page = entries(self.connection.call("XREAD", args, BLOCK).await?);
        let gap = if page.is_empty() {
            self.position.rest(&StreamInfo::read(&self.redis, &self.key).await?)
        } else if self.has_last().await? {
            self.position.follow(&page);
            None
        } else {
            self.position.leap(&page, &StreamInfo::read(&self.redis, &self.key).await?)
        };
        let events = page.into_iter().map(Delivery::Event);
        Ok(gap.into_iter().map(Delivery::Gap).chain(events).collect())
    }

    /// Whether the last entry that was read is still there. Streams are trimmed from the front: if it is, so are all
    /// that follow it.
    async fn has_last(&self) -> Result<bool, RedisError> {
        let last = self.position.last.to_string();
        let args = vec![Arg::from(&self.key), Arg::from(&last), Arg::from(&last), "COUNT".into(), 1i64.into()];
        Ok(!self.redis.command("XRANGE", args).await?.into_list().is_empty())
    }
}

/// The entries in the answer of `XREAD` from one stream.
fn entries(reply: Reply) -> Vec<EventEntry> {
    let mut parts = reply.into_list();
    // RESP2 answers with a list of pairs, RESP3 with a map.
    if parts.first().is_some_and(|first| first.text().is_none()) {
        parts = parts.into_iter().flat_map(Reply::into_list).collect();
    }
    let list = parts.into_iter().nth(1).map(Reply::into_list).unwrap_or_default();
    list.into_iter().filter_map(read_entry).collect()
}

/// Between attempts to read: short at first, two seconds at most, spread so that many listeners do not return at once.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
        .build()
}
