//! Adding jobs: one, or as many as you like in bounded calls.

use operator_core::{JobId, NewJob};
use serde::Serialize;
use uuid::Uuid;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;
use crate::wire;

/// The most jobs one script call adds: a thousand take Redis some ten milliseconds.
const CHUNK_JOBS: usize = 1000;

/// The most bytes of data one script call carries, so that large jobs do not hold the server up either.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// A job as `add.lua` takes it.
#[derive(Serialize)]
struct WireJob<'a>(&'a str, bool, &'a str, &'a str, String, u64, u64, u32, bool);

impl Queue {
    /// Adds one job and returns its id. When a job of the id that `opts` gives is still in the queue, nothing is added
    /// and that id is returned.
    ///
    /// # Errors
    /// [`QueueError::InvalidId`] and [`QueueError::TooLarge`] before anything is written; [`QueueError::Redis`]
    /// otherwise. After an ambiguous error ([`crate::RedisError::is_ambiguous`]) the job may have been added: give it
    /// an id of your own if you mean to repeat the call.
    pub async fn add(&self, job: NewJob) -> Result<JobId, QueueError> {
        let mut ids = self.add_bulk(vec![job]).await?;
        Ok(ids.pop().expect("one job gives one id"))
    }

    /// Adds jobs in order and returns their ids. All are checked before the first is written; they are written in
    /// chunks of up to 1000, each of which is added whole or not at all.
    ///
    /// # Errors
    /// As [`Queue::add`]. When a later chunk fails, the earlier ones are in the queue.
    pub async fn add_bulk(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>, QueueError> {
        let now = self.now_ms();
        let ids = jobs.iter().map(|job| self.check(job)).collect::<Result<Vec<_>, _>>()?;
        if !ids.is_empty() && !self.redis.has_registered(self.name.as_str()) {
            self.register().await?;
        }
        let mut first = 0;
        while first < jobs.len() {
            let last = chunk_end(&jobs, first);
            self.add_chunk(&jobs[first..last], &ids[first..last], now).await?;
            first = last;
        }
        metrics::counter!("operator_jobs_added_total", "queue" => self.name.to_string()).increment(ids.len() as u64);
        Ok(ids)
    }

    /// Refuses what must not be written; returns the id that the job will have.
    fn check(&self, job: &NewJob) -> Result<JobId, QueueError> {
        job.opts.check()?;
        let bytes = job.data.as_str().len() as u64;
        let own_limit = job.opts.size_limit.map(|limit| ("opts.sizeLimit", limit));
        for (field, limit) in own_limit.into_iter().chain([("OPERATOR_MAX_DATA_BYTES", self.max_data_bytes)]) {
            if bytes > limit {
                return Err(QueueError::TooLarge { field, bytes, limit });
            }
        }
        match &job.opts.job_id {
            Some(id) => Ok(JobId::custom(id.as_str())?),
            None => Ok(JobId::from(Uuid::now_v7())),
        }
    }

    /// One call. An answer lost with its connection is asked for once more: every id is known by then, so the jobs that
    /// were added are found and not added twice.
    async fn add_chunk(&self, jobs: &[NewJob], ids: &[JobId], now: u64) -> Result<(), QueueError> {
        match self.send_chunk(jobs, ids, now, false).await {
            Err(QueueError::Redis(error)) if error.is_ambiguous() => self.send_chunk(jobs, ids, now, true).await,
            answer => answer,
        }
    }

    async fn send_chunk(&self, jobs: &[NewJob], ids: &[JobId], now: u64, is_repeated: bool) -> Result<(), QueueError> {
        let wire_jobs: Vec<WireJob<'_>> = jobs
            .iter()
            .zip(ids)
            .map(|(job, id)| {
                let may_exist = is_repeated || job.opts.job_id.is_some();
                let timestamp = job.opts.timestamp_ms.unwrap_or(now);
                let (delay, priority) = (job.opts.delay_ms, job.opts.priority.get());
                let opts = wire::options::encode(&job.opts);
                WireJob(
                    id.as_str(),
                    may_exist,
                    &job.name,
                    job.data.as_str(),
                    opts,
                    timestamp,
                    delay,
                    priority,
                    job.opts.lifo,
                )
            })
            .collect();
        let packed = rmp_serde::to_vec(&wire_jobs).expect("text and numbers can be packed");
        let args: Vec<Arg> = vec![self.keys.prefix().into(), packed.into()];
        self.script(&scripts::ADD, None, args).await?;
        Ok(())
    }
}

/// Where the chunk that begins at `first` ends: at least one job, then as many as fit.
fn chunk_end(jobs: &[NewJob], first: usize) -> usize {
    let mut bytes = 0;
    let fitting = jobs[first..].iter().take(CHUNK_JOBS).take_while(|job| {
        bytes += job.data.as_str().len();
        bytes <= CHUNK_BYTES
    });
    first + fitting.count().max(1)
}

#[cfg(test)]
mod tests {
    use operator_core::Json;

    use super::*;

    #[test]
    fn chunks_are_bounded_by_number_and_by_size() {
        let small = vec![NewJob::new("a", Json::null()); 2500];
        assert_eq!((chunk_end(&small, 0), chunk_end(&small, 2000)), (1000, 2500));
        let large = NewJob::new("a", Json::encode(&"x".repeat(3 * 1024 * 1024)).unwrap());
        let large = vec![large; 3];
        assert_eq!((chunk_end(&large, 0), chunk_end(&large, 1)), (1, 2));
    }
}
