//! Sleeps on the markers of all queues and says when one appeared.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::redis::{Arg, BlockingConnection, RedisError, Reply};

/// How often the connection of a worker whose slots are all taken is looked after: BullMQ lists workers by it.
const TOUCH_INTERVAL: Duration = Duration::from_secs(5);

/// Why a sleep ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wake {
    /// A marker of the queue at this position: its score is the due time in epoch milliseconds, 0 for now.
    Marker { queue: usize, due_ms: f64 },
    /// The time was up, or the connection broke: look at every queue.
    Idle,
}

/// The task that sleeps. It holds the worker's only blocking connection.
pub(super) struct Waiter {
    requests: mpsc::Sender<Duration>,
    wakes: mpsc::Receiver<Wake>,
    task: JoinHandle<()>,
}

impl Waiter {
    /// A waiter on `markers`, in the order of the driver's queues.
    pub(super) fn start(connection: BlockingConnection, markers: Vec<String>) -> Self {
        // One sleep is asked for at a time, so one place in each direction is enough.
        let (requests, asked) = mpsc::channel(1);
        let (woken, wakes) = mpsc::channel(1);
        let task = tokio::spawn(sleep_on_request(connection, markers, asked, woken));
        Self { requests, wakes, task }
    }

    /// Asks for a sleep of at most `wait`.
    pub(super) fn ask(&self, wait: Duration) {
        let _ = self.requests.try_send(wait);
    }

    /// The end of the sleep that was asked for.
    pub(super) async fn woken(&mut self) -> Wake {
        match self.wakes.recv().await {
            Some(wake) => wake,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn sleep_on_request(
    mut connection: BlockingConnection,
    markers: Vec<String>,
    mut asked: mpsc::Receiver<Duration>,
    woken: mpsc::Sender<Wake>,
) {
    let mut pauses = pauses();
    let _ = connection.touch().await;
    loop {
        let wait = match tokio::time::timeout(TOUCH_INTERVAL, asked.recv()).await {
            Ok(Some(wait)) => wait,
            Ok(None) => break,
            Err(_) => {
                let _ = connection.touch().await;
                continue;
            }
        };
        let wake = match pop_marker(&mut connection, &markers, wait).await {
            Ok(wake) => {
                pauses = self::pauses();
                wake
            }
            Err(error) => {
                let pause = pauses.next().unwrap_or(Duration::from_secs(2));
                tracing::warn!(%error, "cannot wait for jobs; looking for them instead");
                tokio::time::sleep(pause).await;
                Wake::Idle
            }
        };
        if woken.send(wake).await.is_err() {
            break;
        }
    }
}

async fn pop_marker(
    connection: &mut BlockingConnection,
    markers: &[String],
    wait: Duration,
) -> Result<Wake, RedisError> {
    let mut args: Vec<Arg> = markers.iter().map(Arg::from).collect();
    // Older servers spin on waits of a millisecond; ten are as good.
    args.push(format!("{:.3}", wait.as_secs_f64().max(0.01)).into());
    let popped = match connection.call("BZPOPMIN", args, wait).await {
        // The client takes the server's nil for a timeout of its own.
        Err(RedisError::Lost { problem }) if problem.contains("Request timed out") => return Ok(Wake::Idle),
        answer => answer?.into_list(),
    };
    let [key, _, score] = popped.as_slice() else { return Ok(Wake::Idle) };
    let queue = key.text().and_then(|key| markers.iter().position(|marker| *marker == key));
    let due_ms = Reply::text(score).and_then(|score| score.parse().ok()).unwrap_or(0.0);
    Ok(queue.map_or(Wake::Idle, |queue| Wake::Marker { queue, due_ms }))
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
