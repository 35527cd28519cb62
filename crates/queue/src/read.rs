//! Looking at a queue without changing it.

use std::collections::BTreeMap;

use operator_core::{Job, JobState};

use crate::error::QueueError;
use crate::keys::connection_name;
use crate::queue::Queue;
use crate::redis::{Arg, Reply};
use crate::scripts;
use crate::wire;

/// How many jobs a queue has in each state, and whether it is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Jobs per state.
    pub by_state: BTreeMap<&'static str, u64>,
    /// Whether claims are stopped.
    pub paused: bool,
}

impl Counts {
    /// Jobs in `state`.
    #[must_use]
    pub fn of(&self, state: JobState) -> u64 {
        self.by_state.get(state.as_str()).copied().unwrap_or(0)
    }

    /// Jobs that have not finished.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        JobState::ALL.into_iter().filter(|state| !state.is_finished()).map(|state| self.of(state)).sum()
    }
}

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

/// A worker as the server's list of connections shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// The worker's own name, if it has one.
    pub name: Option<String>,
    /// Where it connects from.
    pub address: String,
    /// Seconds since it connected.
    pub age_s: u64,
    /// Seconds since its last command.
    pub idle_s: u64,
}

/// The most jobs one page may hold, so that no read holds the server up.
pub const MAX_PAGE: u64 = 1000;

impl Queue {
    /// How many jobs there are in each state.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let mut commands: Vec<_> =
            JobState::ALL.into_iter().map(|state| (shape(state).count, vec![self.state_key(state)])).collect();
        // Jobs that BullMQ 5 parked while the queue was paused are waiting, too.
        commands.push(("LLEN", vec![self.keys.key("paused").into()]));
        commands.push(("HEXISTS", vec![self.keys.key("meta").into(), "paused".into()]));
        let answers = self.redis.commands(commands).await?;
        let mut by_state: BTreeMap<_, _> =
            JobState::ALL.into_iter().zip(&answers).map(|(state, answer)| (state.as_str(), answer.count())).collect();
        let [.., parked, paused] = answers.as_slice() else {
            return Err(QueueError::Corrupt { what: "the counts".to_owned(), problem: "too few answers".to_owned() });
        };
        *by_state.entry(JobState::Waiting.as_str()).or_default() += parked.count();
        Ok(Counts { by_state, paused: paused.count() == 1 })
    }

    /// The job of this id, whatever its state.
    ///
    /// # Errors
    /// [`QueueError::Corrupt`] when its hash is not readable, [`QueueError::Redis`].
    pub async fn job(&self, id: &str) -> Result<Option<Job>, QueueError> {
        let reply = self.redis.command("HGETALL", vec![self.keys.key(id).into()]).await?;
        wire::job::from_hash(&self.name, id, reply)
    }

    /// Where the job of this id is.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn state(&self, id: &str) -> Result<JobState, QueueError> {
        let args: Vec<Arg> = vec![self.keys.prefix().into(), id.into()];
        let state = self.script(&scripts::STATE, None, args).await?.text().unwrap_or_default();
        Ok(state.parse().unwrap_or(JobState::Unknown))
    }

    /// The ids in `state`, a page of at most [`MAX_PAGE`].
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn ids(&self, state: JobState, range: Range) -> Result<Vec<String>, QueueError> {
        let last = range.last.min(range.first + MAX_PAGE - 1);
        let shape = shape(state);
        // Lists hold their newest at the left, sets their oldest; the older page of a list is counted from the right.
        let args: Vec<Arg> = if shape.is_list && range.ascending {
            let (first, last) = (i64::try_from(range.first), i64::try_from(last));
            vec![self.state_key(state), (-1 - last.unwrap_or(0)).into(), (-1 - first.unwrap_or(0)).into()]
        } else {
            vec![self.state_key(state), range.first.into(), last.into()]
        };
        let command = match (shape.is_list, range.ascending) {
            (true, _) => "LRANGE",
            (false, true) => "ZRANGE",
            (false, false) => "ZREVRANGE",
        };
        let mut ids = self.redis.command(command, args).await?.into_texts();
        if shape.is_list && range.ascending {
            ids.reverse();
        }
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
        let key = self.keys.of_job(id, "logs");
        let page = vec![key.as_str().into(), first.into(), last.min(first + MAX_PAGE - 1).into()];
        let answers = self.redis.commands(vec![("LRANGE", page), ("LLEN", vec![key.into()])]).await?;
        let [lines, count] = <[Reply; 2]>::try_from(answers).expect("two commands give two answers");
        Ok((lines.into_texts(), count.count()))
    }

    /// Whether claims are stopped.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn is_paused(&self) -> Result<bool, QueueError> {
        let args = vec![self.keys.key("meta").into(), "paused".into()];
        Ok(self.redis.command("HEXISTS", args).await?.count() == 1)
    }

    /// When the job that has waited longest was created, epoch ms; `None` when nothing waits.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn oldest_waiting_ms(&self) -> Result<Option<u64>, QueueError> {
        let next = self.redis.command("LINDEX", vec![self.keys.key("wait").into(), (-1i64).into()]).await?;
        let next = match next.text() {
            Some(id) => Some(id),
            None => {
                let args = vec![self.keys.key("prioritized").into(), 0i64.into(), 0i64.into()];
                self.redis.command("ZRANGE", args).await?.into_texts().into_iter().next()
            }
        };
        let Some(id) = next else { return Ok(None) };
        let created = self.redis.command("HGET", vec![self.keys.key(&id).into(), "timestamp".into()]).await?;
        Ok(created.int().and_then(|created| u64::try_from(created).ok()))
    }

    /// The workers of this queue, ours and BullMQ's, by the names of their connections. Managed servers that hide
    /// `CLIENT LIST` show none. In a cluster every server is asked, and the one that knows most workers is believed,
    /// because BullMQ's workers connect to all of them.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let base = connection_name(self.redis.prefix(), &self.name, None);
        let mut most = Vec::new();
        for server in self.redis.servers() {
            let list = server.command("CLIENT", vec!["LIST".into()]).await?.text().unwrap_or_default();
            let workers: Vec<_> = list.lines().filter_map(|line| worker(line, &base)).collect();
            if workers.len() > most.len() {
                most = workers;
            }
        }
        Ok(most)
    }

    pub(crate) fn state_key(&self, state: JobState) -> Arg {
        self.keys.key(shape(state).suffix).into()
    }
}

/// How the wire keeps the ids of a state.
struct Shape {
    suffix: &'static str,
    is_list: bool,
    count: &'static str,
}

fn shape(state: JobState) -> Shape {
    match state {
        JobState::Waiting | JobState::Unknown => Shape { suffix: "wait", is_list: true, count: "LLEN" },
        JobState::Active => Shape { suffix: "active", is_list: true, count: "LLEN" },
        other => Shape { suffix: other.as_str(), is_list: false, count: "ZCARD" },
    }
}

/// One line of `CLIENT LIST`, if it is a worker's.
fn worker(line: &str, base: &str) -> Option<WorkerInfo> {
    let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let rest = field("name")?.strip_prefix(base)?;
    let name = if rest.is_empty() { None } else { Some(rest.strip_prefix(":w:")?.to_owned()) };
    let seconds = |name| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    Some(WorkerInfo {
        name,
        address: field("addr").unwrap_or_default().to_owned(),
        age_s: seconds("age"),
        idle_s: seconds("idle"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_told_from_other_connections_by_their_names() {
        let base = "bull:cTI=";
        let line = |name: &str| format!("id=3 addr=127.0.0.1:5 laddr=x name={name} age=12 idle=3 flags=b");
        assert_eq!(worker(&line("bull:cTI="), base).unwrap().name, None);
        assert_eq!(worker(&line("bull:cTI=:w:wn"), base).unwrap().name.as_deref(), Some("wn"));
        assert_eq!(worker(&line("bull:cTI=:qe"), base), None);
        assert_eq!(worker(&line(""), base), None);
        assert_eq!(worker(&line("bull:cTI=:w:wn"), base).unwrap().age_s, 12);
    }
}
