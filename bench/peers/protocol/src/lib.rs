//! How the bench talks to a peer: one request a line on stdin, one answer a line on stdout.
//!
//! Times of single jobs are in microseconds since the epoch, so that what one process stamps another can compare.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// What a peer is asked to do.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", tag = "op")]
pub enum Request {
    /// Adds jobs and answers when all are in the queue.
    Add(Add),
    /// Adds jobs one by one at a steady rate, each with the time in its data.
    #[serde(rename_all = "camelCase")]
    AddSteadily {
        /// Into which queue.
        queue: String,
        /// How many in all.
        count: usize,
        /// How many per second.
        rate: f64,
    },
    /// Starts a worker whose jobs do nothing but note how long they waited.
    #[serde(rename_all = "camelCase")]
    StartWorker {
        /// Of which queue.
        queue: String,
        /// How many jobs at a time.
        concurrency: usize,
        /// Leaves no record of finished jobs for an archive; only Operator leaves any.
        #[serde(default)]
        forgets: bool,
        /// Its jobs never end.
        #[serde(default)]
        holds: bool,
        /// How many queues it serves: that one, and others without jobs. Only Operator serves several.
        #[serde(default = "one")]
        queues: usize,
        /// How many workers are started. Only Operator starts several.
        #[serde(default = "one")]
        workers: usize,
    },
    /// Reads the queue's events until the process ends.
    #[serde(rename_all = "camelCase")]
    Listen {
        /// Of which queue.
        queue: String,
    },
    /// Answers with what the worker's jobs have noted since the last time.
    Notes,
    /// Stops the worker and answers with what its jobs noted since the last time.
    StopWorker,
}

fn one() -> usize {
    1
}

/// How jobs are added.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Add {
    /// Into which queue.
    pub queue: String,
    /// How many.
    pub count: usize,
    /// How many calls are under way at a time; ignored in bulk.
    pub flight: usize,
    /// How many jobs a bulk call has; 0 adds them one by one.
    pub bulk: usize,
    /// Bytes of payload in the data.
    pub payload: usize,
    /// When the first job is due, epoch ms; 0 for no delays. Only in bulk, as the following.
    pub due_at_ms: u64,
    /// Over how many milliseconds the others are due, evenly.
    pub spread_ms: u64,
    /// So many priorities in turn, from 1; 0 for none.
    pub priorities: u32,
    /// Makes every job the parent of so many others in the same queue.
    pub children: usize,
}

impl Add {
    /// The delay of the job at this position, in milliseconds.
    #[must_use]
    pub fn delay_ms(&self, position: usize) -> u64 {
        if self.due_at_ms == 0 {
            return 0;
        }
        let due = self.due_at_ms + position as u64 * self.spread_ms / self.count as u64;
        due.saturating_sub(now_us() / 1000).max(1)
    }

    /// The priority of the job at this position.
    #[must_use]
    pub fn priority(&self, position: usize) -> u32 {
        if self.priorities == 0 { 0 } else { 1 + position as u32 % self.priorities }
    }
}

/// What a peer answers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// How many jobs the worker has run.
    pub ran: u64,
    /// Their waits in microseconds, from the stamp in their data to their start, in the order in which they started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_us: Vec<u64>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a worker's jobs note, shared with its processor.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Noted>);

#[derive(Debug, Default)]
struct Noted {
    ran: AtomicU64,
    waits_us: Mutex<Vec<u64>>,
}

impl Notes {
    /// A job with this data starts now.
    pub fn take(&self, data: &Data) {
        self.0.ran.fetch_add(1, Ordering::Relaxed);
        if let Some(at) = data.at_us {
            self.0.waits_us.lock().unwrap().push(now_us().saturating_sub(at));
        }
    }

    /// What was noted so far, as the answer to [`Request::StopWorker`]; the notes are empty after it.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let ran = self.0.ran.swap(0, Ordering::Relaxed);
        let waits_us = std::mem::take(&mut *self.0.waits_us.lock().unwrap());
        Answer { ran, waits_us, error: None }
    }
}

/// The data of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Data {
    /// When it was added, if its wait is to be measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at_us: Option<u64>,
    /// Ballast.
    pub payload: String,
}

impl Data {
    /// Data of about this many bytes.
    #[must_use]
    pub fn of(payload: usize) -> Self {
        Self { at_us: None, payload: "x".repeat(payload) }
    }

    /// Small data that says when the job was added.
    #[must_use]
    pub fn now() -> Self {
        Self { at_us: Some(now_us()), payload: String::new() }
    }
}

/// Microseconds since the epoch.
#[must_use]
pub fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Calls `add` `count` times at `rate` calls a second. A call that takes longer than its turn does not hold up the next.
///
/// # Errors
/// The first error of a call.
pub async fn steadily<E>(count: usize, rate: f64, add: impl AsyncFn() -> Result<(), E>) -> Result<(), E> {
    let mut turn = tokio::time::interval(Duration::from_millis(1));
    let (start, mut begun) = (Instant::now(), 0);
    let mut calls = FuturesUnordered::new();
    while begun < count || !calls.is_empty() {
        tokio::select! {
            Some(called) = calls.next(), if !calls.is_empty() => called?,
            _ = turn.tick(), if begun < count => {
                let due = (start.elapsed().as_secs_f64() * rate) as usize;
                while begun < due.min(count) {
                    begun += 1;
                    calls.push(add());
                }
            }
        }
    }
    Ok(())
}

/// Answers requests until stdin ends.
pub async fn serve<E: std::fmt::Display>(mut handle: impl AsyncFnMut(Request) -> Result<Answer, E>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut out = tokio::io::stdout();
    out.write_all(b"{\"ready\":true}\n").await.unwrap();
    out.flush().await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match serde_json::from_str(&line) {
            Ok(request) => handle(request).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let answer = answer.unwrap_or_else(|error| Answer { error: Some(error), ..Answer::default() });
        let mut line = serde_json::to_string(&answer).unwrap();
        line.push('\n');
        out.write_all(line.as_bytes()).await.unwrap();
        out.flush().await.unwrap();
    }
}
