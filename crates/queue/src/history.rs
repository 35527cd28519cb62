//! The way of finished jobs into history: a stream per queue that the settle script fills, read by a group of
//! dispatchers; and a look at the queue itself for jobs that another program's workers finished.

mod reads;

use std::collections::BTreeSet;
use std::time::Duration;

use operator_core::{Job, JobRecord, JobState, JobStatus, Json, Outcome, QueueName};

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Arg, Redis, RedisError, Reply};
use crate::wire;
use crate::wire::record::WireRecord;
use reads::{Question, Reads};

/// The consumer group that all dispatchers form.
const GROUP: &str = "operator-archive";

/// How long an entry may lie with a dispatcher that does not confirm it before another takes it over.
const TAKE_OVER_MS: u64 = 60_000;

/// One entry of a history stream: the records of one settle call.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// The queue whose jobs finished.
    pub queue: QueueName,
    /// The entry's id in the stream.
    pub id: String,
    /// The records.
    pub records: Vec<JobRecord>,
}

/// Reads the history streams of all queues as one consumer of the group.
pub struct HistoryReader {
    redis: Redis,
    reads: Reads,
    consumer: String,
    queues: Vec<QueueName>,
}

impl HistoryReader {
    /// A reader under the name `consumer`, which no other live reader may use.
    #[must_use]
    pub fn new(redis: &Redis, consumer: impl Into<String>) -> Self {
        Self { redis: redis.clone(), reads: Reads::default(), consumer: consumer.into(), queues: Vec::new() }
    }

    /// Follows these queues, and makes sure that their streams have the group.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn follow(&mut self, queues: BTreeSet<QueueName>) -> Result<(), QueueError> {
        for queue in &queues {
            if !self.queues.contains(queue) {
                self.make_group(queue).await?;
            }
        }
        self.queues = queues.into_iter().collect();
        Ok(())
    }

    /// New entries, at most `max`; waits up to `wait` for the first.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn read(&mut self, max: u64, wait: Duration) -> Result<Vec<HistoryEntry>, QueueError> {
        if self.queues.is_empty() {
            tokio::time::sleep(wait).await;
            return Ok(Vec::new());
        }
        let question = Question { group: GROUP, consumer: self.consumer.clone(), max, wait };
        let Some(read) = self.reads.first(&self.redis, &self.queues, &question).await else { return Ok(Vec::new()) };
        match read.answer {
            Ok(reply) => Ok(self.entries(&read.queues, reply)),
            // The stream went away with a flush: make it again, and go on.
            Err(RedisError::Command { problem }) if problem.contains("NOGROUP") => {
                for queue in &read.queues {
                    self.make_group(queue).await?;
                }
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Entries that a reader took and did not confirm for a minute: it has died.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn take_over(&mut self, max: u64) -> Result<Vec<HistoryEntry>, QueueError> {
        let mut entries = Vec::new();
        for queue in &self.queues {
            let args = vec![
                self.stream(queue).into(),
                GROUP.into(),
                self.consumer.as_str().into(),
                TAKE_OVER_MS.into(),
                "0".into(),
                "COUNT".into(),
                max.into(),
            ];
            let claimed = self.redis.command("XAUTOCLAIM", args).await?.into_list().into_iter().nth(1);
            let claimed = claimed.map(Reply::into_list).unwrap_or_default();
            entries.extend(claimed.into_iter().filter_map(|entry| read_entry(queue, entry)));
        }
        Ok(entries)
    }

    /// Deletes entries whose records are stored.
    ///
    /// # Errors
    /// [`QueueError::Redis`]; the entries are then read again, so storing must bear repetition.
    pub async fn confirm(&self, entries: &[HistoryEntry]) -> Result<(), QueueError> {
        let mut commands = Vec::new();
        for queue in &self.queues {
            let ids = || entries.iter().filter(|entry| entry.queue == *queue).map(|entry| Arg::from(&entry.id));
            if ids().next().is_some() {
                let stream = || Arg::from(self.stream(queue));
                commands.push(("XACK", [stream(), GROUP.into()].into_iter().chain(ids()).collect()));
                commands.push(("XDEL", std::iter::once(stream()).chain(ids()).collect()));
            }
        }
        self.redis.commands(commands).await?;
        Ok(())
    }

    /// Forgets this consumer, and others that have been silent for an hour and hold nothing.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn leave(&self) -> Result<(), QueueError> {
        const SILENT_MS: i64 = 3_600_000;
        for queue in &self.queues {
            let stream = self.stream(queue);
            let consumers = self.redis.command("XINFO", vec!["CONSUMERS".into(), stream.as_str().into(), GROUP.into()]);
            for consumer in consumers.await?.into_list() {
                let fields = consumer.into_list();
                let field = |name: &str| {
                    let position = fields.iter().position(|field| field.text().as_deref() == Some(name))?;
                    fields.get(position + 1)
                };
                let name = field("name").and_then(Reply::text).unwrap_or_default();
                let holds_nothing = field("pending").and_then(Reply::int) == Some(0);
                let is_silent = field("idle").and_then(Reply::int).is_some_and(|idle| idle > SILENT_MS);
                if holds_nothing && (is_silent || name == self.consumer) {
                    let args = vec!["DELCONSUMER".into(), stream.as_str().into(), GROUP.into(), name.into()];
                    self.redis.command("XGROUP", args).await?;
                }
            }
        }
        Ok(())
    }

    async fn make_group(&self, queue: &QueueName) -> Result<(), QueueError> {
        let args = vec!["CREATE".into(), self.stream(queue).into(), GROUP.into(), "0".into(), "MKSTREAM".into()];
        match self.redis.command("XGROUP", args).await {
            Err(RedisError::Command { problem }) if problem.starts_with("BUSYGROUP") => Ok(()),
            answer => answer.map(drop).map_err(QueueError::from),
        }
    }

    fn stream(&self, queue: &QueueName) -> String {
        reads::stream(&self.redis, queue)
    }

    /// The entries in the answer of an `XREADGROUP` for `queues`.
    fn entries(&self, queues: &[QueueName], reply: Reply) -> Vec<HistoryEntry> {
        let mut streams = reply.into_list();
        // RESP2 answers with pairs, RESP3 with a map.
        if streams.first().is_some_and(|first| first.text().is_none()) {
            streams = streams.into_iter().flat_map(Reply::into_list).collect();
        }
        let mut entries = Vec::new();
        let mut parts = streams.into_iter();
        while let (Some(stream), Some(list)) = (parts.next(), parts.next()) {
            let stream = stream.text().unwrap_or_default();
            let Some(queue) = queues.iter().find(|queue| self.stream(queue) == stream) else { continue };
            entries.extend(list.into_list().into_iter().filter_map(|entry| read_entry(queue, entry)));
        }
        entries
    }
}

/// One entry; a record that is not readable is reported and left out, so that it does not hold up the others.
fn read_entry(queue: &QueueName, entry: Reply) -> Option<HistoryEntry> {
    let mut parts = entry.into_list().into_iter();
    let (id, fields) = (parts.next()?.text()?, parts.next()?.into_list());
    let mut records = Vec::new();
    for triple in fields.chunks_exact(6) {
        let (packed, data, value) = (triple[1].bytes(), triple[3].text(), triple[5].text());
        let (Some(packed), Some(data), Some(value)) = (packed, data, value) else { continue };
        match WireRecord::unpack(queue.as_str(), &packed, &data, &value) {
            Ok(record) => records.push(record),
            Err(error) => tracing::error!(%queue, entry = id, %error, "dropped an unreadable record"),
        }
    }
    Some(HistoryEntry { queue: queue.clone(), id, records })
}

impl Queue {
    /// How many history entries wait for a dispatcher.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn history_backlog(&self) -> Result<u64, QueueError> {
        Ok(self.redis.command("XLEN", vec![self.keys.key("operator:history").into()]).await?.count())
    }

    /// When the oldest entry that waits for a dispatcher was written, epoch ms; `None` when none waits.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn history_oldest_ms(&self) -> Result<Option<u64>, QueueError> {
        let args = vec![self.keys.key("operator:history").into(), "-".into(), "+".into(), "COUNT".into(), 1i64.into()];
        let oldest = self.redis.command("XRANGE", args).await?.into_list().into_iter().next();
        let id = oldest.and_then(|entry| entry.into_list().first()?.text());
        Ok(id.and_then(|id| id.split('-').next()?.parse().ok()))
    }

    /// Ids and finishing times of jobs that are kept in `state` (completed or failed) and finished at `since_ms` or
    /// later, oldest first, at most `max`.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn finished_since(
        &self,
        state: JobState,
        since_ms: u64,
        max: u64,
    ) -> Result<Vec<(String, u64)>, QueueError> {
        let args = vec![
            self.state_key(state),
            since_ms.into(),
            "+inf".into(),
            "WITHSCORES".into(),
            "LIMIT".into(),
            0i64.into(),
            max.into(),
        ];
        let reply = self.redis.command("ZRANGEBYSCORE", args).await?.into_list();
        // RESP3 nests each pair.
        let flat: Vec<Reply> = if reply.first().is_some_and(|first| first.text().is_none()) {
            reply.into_iter().flat_map(Reply::into_list).collect()
        } else {
            reply
        };
        Ok(flat.chunks_exact(2).filter_map(|pair| Some((pair[0].text()?, pair[1].count()))).collect())
    }

    /// The records of finished jobs that are still in the queue, made from what stands there.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn finished_records(&self, ids: &[String]) -> Result<Vec<JobRecord>, QueueError> {
        let commands = ids.iter().map(|id| ("HGETALL", vec![self.keys.key(id).into()])).collect();
        let hashes = self.redis.commands(commands).await?;
        let jobs = ids.iter().zip(hashes).filter_map(|(id, hash)| match wire::job::from_hash(&self.name, id, hash) {
            Ok(job) => job.and_then(record_of),
            Err(error) => {
                tracing::error!(queue = %self.name, id, %error, "left an unreadable job out of history");
                None
            }
        });
        Ok(jobs.collect())
    }
}

/// The record of a finished job; `None` for one that has not finished.
fn record_of(job: Job) -> Option<JobRecord> {
    let finished_ms = job.finished_ms?;
    let is_cancelled = job.status(JobState::Failed) == JobStatus::Cancelled;
    let outcome = match job.failed_reason {
        Some(error) if is_cancelled && job.return_value.is_none() => {
            Outcome::Cancelled { error, stack: job.stacktrace }
        }
        Some(error) if job.return_value.is_none() => Outcome::Failed { error, stack: job.stacktrace },
        _ => Outcome::Completed { result: job.return_value.unwrap_or_else(Json::null) },
    };
    Some(JobRecord {
        queue: job.queue.to_string(),
        id: job.id.to_string(),
        name: job.name,
        data: job.data,
        opts: job.wire_opts,
        outcome,
        attempts_made: job.attempts_made,
        attempts_started: job.attempts_started,
        stalled: job.stalled,
        timestamp_ms: job.timestamp_ms,
        processed_ms: job.processed_ms,
        finished_ms,
        worker: job.processed_by,
    })
}
