//! Pages of a queue's jobs and of a job's log.

use operator_core::{Job, JobState};

use super::shape;
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::{Arg, Reply};
use crate::scripts;
use crate::wire;

/// The page of a list: the first and last position, from 0, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Position of the first.
    pub first: u64,
    /// Position of the last.
    pub last: u64,
    /// Oldest first instead of newest first.
    pub ascending: bool,
}

/// The most jobs one page may hold, so that no read holds the server up.
pub const MAX_PAGE: u64 = 1000;

/// Where every list has ended: the greatest position that a script counts exactly.
const MAX_POSITION: u64 = 1 << 52;

impl Range {
    /// The first and last position, with no more than [`MAX_PAGE`] in between.
    fn bounds(self) -> (u64, u64) {
        let first = self.first.min(MAX_POSITION);
        (first, self.last.min(first + MAX_PAGE - 1))
    }

    /// The same page as `LRANGE` counts it in a list that holds its newest at the left: an ascending one from the right.
    fn counted_from_right(self) -> (i64, i64) {
        let (first, last) = self.bounds();
        let place = |position: u64| -1 - i64::try_from(position).unwrap_or(i64::MAX);
        (place(last), place(first))
    }
}

impl Queue {
    /// The ids in `state`, a page of at most [`MAX_PAGE`]. Waiting jobs are in the order in which they are served, or its
    /// reverse: those that BullMQ 5 parked while the queue was paused come before those added since.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn ids(&self, state: JobState, range: Range) -> Result<Vec<String>, QueueError> {
        let (first, last) = range.bounds();
        if matches!(state, JobState::Waiting | JobState::Unknown) {
            let args: Vec<Arg> = vec![first.into(), last.into(), i64::from(range.ascending).into()];
            return Ok(self.script(&scripts::WAITING, None, args).await?.into_texts());
        }
        if !shape(state).is_list {
            let command = if range.ascending { "ZRANGE" } else { "ZREVRANGE" };
            let args = vec![self.state_key(state), first.into(), last.into()];
            return Ok(self.redis.command(command, args).await?.into_texts());
        }
        if !range.ascending {
            let args = vec![self.state_key(state), first.into(), last.into()];
            return Ok(self.redis.command("LRANGE", args).await?.into_texts());
        }
        let (left, right) = range.counted_from_right();
        let args = vec![self.state_key(state), left.into(), right.into()];
        let mut ids = self.redis.command("LRANGE", args).await?.into_texts();
        ids.reverse();
        Ok(ids)
    }

    /// The jobs in `state`, a page of at most [`MAX_PAGE`]. A job that is removed meanwhile, or whose hash is not
    /// readable, is left out.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn jobs(&self, state: JobState, range: Range) -> Result<Vec<Job>, QueueError> {
        let ids = self.ids(state, range).await?;
        let commands = ids.iter().map(|id| ("HGETALL", vec![self.keys.key(id).into()])).collect();
        let hashes = self.redis.commands(commands).await?;
        let jobs = ids.iter().zip(hashes).filter_map(|(id, hash)| match wire::job::from_hash(&self.name, id, hash) {
            Ok(job) => job,
            Err(error) => {
                tracing::warn!(queue = %self.name, id, %error, "left an unreadable job out of a page");
                None
            }
        });
        Ok(jobs.collect())
    }

    /// The log of a job: a page of lines, oldest first, and how many there are.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn logs(&self, id: &str, first: u64, last: u64) -> Result<(Vec<String>, u64), QueueError> {
        self.logs_page(id, Range { first, last, ascending: true }).await
    }

    /// The log of a job: a page of lines in either order, and how many there are.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn logs_page(&self, id: &str, range: Range) -> Result<(Vec<String>, u64), QueueError> {
        let key = self.keys.of_job(id, "logs");
        let (first, last) = range.bounds();
        let mut page: Vec<Arg> = vec![key.as_str().into()];
        if range.ascending {
            page.extend([Arg::from(first), Arg::from(last)]);
        } else {
            // Logs hold their newest at the right.
            let (left, right) = range.counted_from_right();
            page.extend([Arg::from(left), Arg::from(right)]);
        }
        let answers = self.redis.commands(vec![("LRANGE", page), ("LLEN", vec![key.into()])]).await?;
        let [lines, count] = <[Reply; 2]>::try_from(answers).expect("two commands give two answers");
        let mut lines = lines.into_texts();
        if !range.ascending {
            lines.reverse();
        }
        Ok((lines, count.count()))
    }
}
