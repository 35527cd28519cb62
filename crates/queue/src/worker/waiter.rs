//! Sleeps on the markers of all queues and says when one appeared.
//!
//! One connection sleeps on all of them, but in a cluster a blocking call cannot span slots: there each slot has a
//! sleeper with a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::queue::Queue;
use crate::redis::{Arg, BlockingConnection, RedisError, Reply};

/// How often the connection of a worker whose slots are all taken is looked after: BullMQ lists workers by it.
const TOUCH_INTERVAL: Duration = Duration::from_secs(5);

/// Why a sleep ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wake {
    /// A marker of the queue at this position: its score is the due time in epoch milliseconds, 0 for now.
    Marker { queue: usize, due_ms: f64 },
    /// The time was up, or the connection broke: look at these queues.
    Idle { queues: Arc<[usize]> },
}

/// The tasks that sleep. Each holds a blocking connection of the worker.
pub(super) struct Waiter {
    sleepers: Vec<Sleeper>,
    wakes: mpsc::Receiver<(usize, Wake)>,
}

/// One task that sleeps.
struct Sleeper {
    requests: mpsc::Sender<Duration>,
    is_asleep: bool,
    task: JoinHandle<()>,
}

/// The queues one sleeper watches: their positions and markers.
#[derive(Clone)]
struct Watch {
    queues: Arc<[usize]>,
    markers: Vec<String>,
}

/// The positions of `queues` that one connection can wait for: all of them, or in a cluster those of each slot.
pub(super) fn groups(queues: &[Queue]) -> Vec<Vec<usize>> {
    let slot = |queue: &Queue| queue.redis.is_cluster().then(|| crate::keys::slot(queue.keys.prefix()));
    let mut groups: Vec<(Option<u16>, Vec<usize>)> = Vec::new();
    for (position, queue) in queues.iter().enumerate() {
        let slot = slot(queue);
        match groups.iter_mut().find(|(known, _)| *known == slot) {
            Some((_, group)) => group.push(position),
            None => groups.push((slot, vec![position])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl Waiter {
    /// A waiter on the markers of `queues`. Each sleeper's connection carries the name, made by `name`, of the first
    /// queue it watches.
    pub(super) fn start(queues: &[Queue], name: impl Fn(&Queue) -> String) -> Self {
        let groups = groups(queues);
        // Each sleeper has one wake under way at most.
        let (woken, wakes) = mpsc::channel(groups.len().max(1));
        let start = |(sleeper, group): (usize, Vec<usize>)| {
            let first = group.first().map(|first| &queues[*first])?;
            let markers = group.iter().map(|queue| queues[*queue].keys.key("marker")).collect();
            let connection = first.redis.blocking(name(first));
            // One sleep is asked for at a time.
            let (requests, asked) = mpsc::channel(1);
            let watch = Watch { queues: group.into(), markers };
            let task = tokio::spawn(sleep_on_request(connection, watch, asked, woken.clone(), sleeper));
            Some(Sleeper { requests, is_asleep: false, task })
        };
        let sleepers = groups.into_iter().enumerate().filter_map(start).collect();
        Self { sleepers, wakes }
    }

    /// Asks for a sleep of at most `wait` of every sleeper that is awake.
    pub(super) fn ask(&mut self, wait: Duration) {
        for sleeper in self.sleepers.iter_mut().filter(|sleeper| !sleeper.is_asleep) {
            sleeper.is_asleep = sleeper.requests.try_send(wait).is_ok();
        }
    }

    /// Whether an end of a sleep is to be expected.
    pub(super) fn is_asleep(&self) -> bool {
        self.sleepers.iter().any(|sleeper| sleeper.is_asleep)
    }

    /// The end of a sleep that was asked for.
    pub(super) async fn woken(&mut self) -> Wake {
        match self.wakes.recv().await {
            Some((sleeper, wake)) => {
                self.sleepers[sleeper].is_asleep = false;
                wake
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.sleepers.iter().for_each(|sleeper| sleeper.task.abort());
    }
}

async fn sleep_on_request(
    mut connection: BlockingConnection,
    watch: Watch,
    mut asked: mpsc::Receiver<Duration>,
    woken: mpsc::Sender<(usize, Wake)>,
    sleeper: usize,
) {
    let mut pauses = pauses();
    let mut first = 0;
    let _ = connection.touch(&watch.markers[0]).await;
    loop {
        let wait = match tokio::time::timeout(TOUCH_INTERVAL, asked.recv()).await {
            Ok(Some(wait)) => wait,
            Ok(None) => break,
            Err(_) => {
                let _ = connection.touch(&watch.markers[0]).await;
                continue;
            }
        };
        // The server looks at the markers in their order: the first would always win.
        first = (first + 1) % watch.markers.len();
        let wake = match pop_marker(&mut connection, &watch, first, wait).await {
            Ok(wake) => {
                pauses = self::pauses();
                wake
            }
            Err(error) => {
                let pause = pauses.next().unwrap_or(Duration::from_secs(2));
                tracing::warn!(%error, "cannot wait for jobs; looking for them instead");
                tokio::time::sleep(pause).await;
                Wake::Idle { queues: Arc::clone(&watch.queues) }
            }
        };
        if woken.send((sleeper, wake)).await.is_err() {
            break;
        }
    }
}

/// Waits for a marker, that of the `first` queue before the others.
async fn pop_marker(
    connection: &mut BlockingConnection,
    watch: &Watch,
    first: usize,
    wait: Duration,
) -> Result<Wake, RedisError> {
    let idle = || Wake::Idle { queues: Arc::clone(&watch.queues) };
    let (last, next) = watch.markers.split_at(first);
    let mut args: Vec<Arg> = next.iter().chain(last).map(Arg::from).collect();
    // Older servers spin on waits of a millisecond; ten are as good.
    args.push(format!("{:.3}", wait.as_secs_f64().max(0.01)).into());
    let popped = connection.call("BZPOPMIN", args, wait).await?.into_list();
    let [key, _, score] = popped.as_slice() else { return Ok(idle()) };
    let marker = key.text().and_then(|key| watch.markers.iter().position(|marker| *marker == key));
    let due_ms = Reply::text(score).and_then(|score| score.parse().ok()).unwrap_or(0.0);
    Ok(marker.map_or_else(idle, |marker| Wake::Marker { queue: watch.queues[marker], due_ms }))
}

/// Between attempts to connect again: 50 ms at first, two seconds at most, spread.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
        .build()
}
