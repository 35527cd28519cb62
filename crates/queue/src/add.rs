//! Adding jobs: one, or as many as you like in bounded calls.

use bytes::Bytes;
use operator_core::ids::check_length;
use operator_core::{InvalidOptions, JobId, JobOptions, Json, NewJob};
use uuid::Uuid;

use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::redis::{Arg, RedisError, Reply};
use crate::scripts;
use crate::wire::new_job::WireJob;

/// The most jobs one script call adds: a thousand take Redis some ten milliseconds.
pub(crate) const CHUNK_JOBS: usize = 1000;

/// The most bytes of data one script call carries, so that large jobs do not hold the server up either.
pub(crate) const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// What came of a job that was to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The job that is in the queue now: the new one, or the one that stands for it.
    pub id: JobId,
    /// Whether it is the new one. Not reliable in a call whose first answer was lost with its connection.
    pub is_new: bool,
}

impl Queue {
    /// Adds one job and returns its id. When a job of the id that `opts` gives is still in the queue, nothing is added
    /// and that id is returned; when another job stands for its deduplication id, that job's.
    ///
    /// # Errors
    /// [`QueueError::InvalidId`], [`QueueError::InvalidOptions`] and [`QueueError::TooLarge`] before anything is
    /// written; [`QueueError::Refused`] when `opts.parent` does not exist or the job has another parent already;
    /// [`QueueError::Redis`] otherwise. After an ambiguous error ([`crate::RedisError::is_ambiguous`]) the job may
    /// have been added: give it an id of your own if you mean to repeat the call.
    ///
    /// Calls that are made at the same time share what they cost: jobs without an id of their own, a parent or
    /// deduplication go to Redis together.
    pub async fn add(&self, job: NewJob) -> Result<JobId, QueueError> {
        if !Self::is_plain(&job.opts) {
            let mut ids = self.add_bulk(vec![job]).await?;
            return Ok(ids.pop().expect("one job gives one id"));
        }
        let id = self.check(&job.name, &job.data, &job.opts)?;
        self.ensure_registered().await?;
        self.add_gathered(job, id.clone()).await?;
        self.added_counter().increment(1);
        Ok(id)
    }

    /// Adds jobs in order and returns their ids. All are checked before the first is written; they are written in
    /// chunks of up to 1000, each of which is added whole or not at all.
    ///
    /// # Errors
    /// As [`Queue::add`]. When a later chunk fails, the earlier ones are in the queue.
    pub async fn add_bulk(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>, QueueError> {
        Ok(self.add_each(jobs).await?.into_iter().map(|added| added.id).collect())
    }

    /// As [`Queue::add_bulk`], and tells which jobs are new and for which another one stands.
    ///
    /// # Errors
    /// As [`Queue::add_bulk`].
    pub async fn add_each(&self, jobs: Vec<NewJob>) -> Result<Vec<Added>, QueueError> {
        let now = self.now_ms();
        let ids = jobs.iter().map(|job| self.check(&job.name, &job.data, &job.opts)).collect::<Result<Vec<_>, _>>()?;
        if !ids.is_empty() {
            self.ensure_registered().await?;
        }
        let counter = self.added_counter();
        let mut added = Vec::with_capacity(ids.len());
        while added.len() < jobs.len() {
            let (first, last) = (added.len(), chunk_end(&jobs, added.len()));
            added.extend(self.add_chunk(&jobs[first..last], &ids[first..last], now).await?);
            counter.increment(added[first..].iter().filter(|job| job.is_new).count() as u64);
        }
        Ok(added)
    }

    fn added_counter(&self) -> metrics::Counter {
        metrics::counter!("operator_jobs_added_total", "queue" => self.name.to_string())
    }

    /// Refuses what must not be written; returns the id that the job will have.
    pub(crate) fn check(&self, name: &str, data: &Json, opts: &JobOptions) -> Result<JobId, QueueError> {
        check_length("job name", name)?;
        opts.check()?;
        self.check_size(data, opts.size_limit)?;
        let id = match &opts.job_id {
            Some(id) => JobId::custom(id.as_str())?,
            None => JobId::from(Uuid::now_v7()),
        };
        self.check_parent(&id, opts)?;
        Ok(id)
    }

    /// Refuses data beyond the job's own limit or that of this handle.
    pub(crate) fn check_size(&self, data: &Json, own_limit: Option<u64>) -> Result<(), QueueError> {
        self.check_bytes(data.as_str().len() as u64, own_limit)
    }

    pub(crate) fn check_bytes(&self, bytes: u64, own_limit: Option<u64>) -> Result<(), QueueError> {
        let own_limit = own_limit.map(|limit| ("opts.sizeLimit", limit));
        for (field, limit) in own_limit.into_iter().chain([("OPERATOR_MAX_DATA_BYTES", self.max_data_bytes)]) {
            if bytes > limit {
                return Err(QueueError::TooLarge { field, bytes, limit });
            }
        }
        Ok(())
    }

    fn check_parent(&self, id: &JobId, opts: &JobOptions) -> Result<(), QueueError> {
        let Some(parent) = &opts.parent else { return Ok(()) };
        if !parent.queue.contains(':') {
            let example = format!("{}:{}", self.redis.prefix(), self.name);
            let problem = format!("`{}` is not a queue's key: give prefix and queue, as in {example}", parent.queue);
            return Err(QueueError::InvalidArgument { field: "opts.parent.queue", problem });
        }
        if id.as_str().contains(':') {
            let problem =
                format!("`{id}` contains a colon, and a child's key is taken apart at its last: leave it out");
            return Err(QueueError::InvalidArgument { field: "opts.jobId", problem });
        }
        self.check_same_slot(&format!("{}:", parent.queue))?;
        let is_own = parent.id == *id && format!("{}:", parent.queue) == self.keys.prefix();
        if is_own { Err(InvalidOptions::OwnParent.into()) } else { Ok(()) }
    }

    async fn add_chunk(&self, jobs: &[NewJob], ids: &[JobId], now: u64) -> Result<Vec<Added>, QueueError> {
        let pairs = jobs.iter().zip(ids);
        let wire_jobs = pairs.map(|(NewJob { name, data, opts }, id)| WireJob::new(id, name, data, opts, now));
        read_added(ids, self.send_jobs(wire_jobs.collect(), now).await?)
    }

    /// One call. An answer lost with its connection is asked for once more: every id is known by then, so the jobs that
    /// were added are found and not added twice. One that has run by then and was not kept is looked for among the newest
    /// events, unless its id is the caller's, which tells nothing: that job runs again.
    pub(crate) async fn send_jobs(&self, jobs: Vec<WireJob<'_>>, now: u64) -> Result<Reply, RedisError> {
        let packed = Bytes::from(rmp_serde::to_vec(&jobs).expect("text and numbers can be packed"));
        let send = |is_repeated| {
            let packed = packed.clone().into();
            let args: Vec<Arg> = vec![self.keys.prefix().into(), packed, now.into(), u64::from(is_repeated).into()];
            self.script(&scripts::ADD, None, args)
        };
        match send(false).await {
            Err(error) if error.is_ambiguous() => send(true).await,
            answer => answer,
        }
    }
}

/// The jobs that are in the queue now, whether they were added or others stand for them.
pub(crate) fn read_added(ids: &[JobId], reply: Reply) -> Result<Vec<Added>, QueueError> {
    let others = reply.into_list();
    let position = |reply: &Reply| reply.int().and_then(|position| usize::try_from(position - 1).ok());
    if let [zero, at, code] = others.as_slice()
        && zero.int() == Some(0)
    {
        let id = position(at).and_then(|at| ids.get(at)).map(ToString::to_string).unwrap_or_default();
        return Err(QueueError::Refused { id, refusal: Refusal::from_code(code.expect_int("add")?) });
    }
    let mut added: Vec<Added> = ids.iter().map(|id| Added { id: id.clone(), is_new: true }).collect();
    for other in others.chunks_exact(2) {
        if let (Some(at), Some(id)) = (position(&other[0]), other[1].text()) {
            added[at] = Added { id: JobId::from_wire(id), is_new: false };
        }
    }
    Ok(added)
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
