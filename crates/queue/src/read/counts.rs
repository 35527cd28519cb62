//! How many jobs there are, by state, by priority and by due time.

use std::collections::BTreeMap;

use operator_core::JobState;

use super::shape;
use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;

/// Scores of delayed jobs keep this many places below each millisecond (bullmq-wire, 1.1).
const DELAYED_SLOTS: u64 = 4096;

/// Scores of prioritized jobs keep 32 bits below the priority.
const PRIORITY_BAND: u64 = 1 << 32;

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

impl Queue {
    /// How many jobs there are in each state.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        self.counts_of(&JobState::ALL).await
    }

    /// How many jobs there are in each of these states. What BullMQ 5 parked while the queue was paused is waiting, too.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn counts_of(&self, states: &[JobState]) -> Result<Counts, QueueError> {
        let mut commands = vec![("HEXISTS", vec![self.keys.key("meta").into(), "paused".into()])];
        commands.push(("LLEN", vec![self.keys.key("paused").into()]));
        commands.extend(states.iter().map(|state| (shape(*state).count, vec![self.state_key(*state)])));
        let answers = self.redis.commands(commands).await?;
        let [paused, parked, counts @ ..] = answers.as_slice() else {
            return Err(QueueError::Corrupt { what: "the counts".to_owned(), problem: "too few answers".to_owned() });
        };
        let mut by_state: BTreeMap<_, _> =
            states.iter().zip(counts).map(|(state, count)| (state.as_str(), count.count())).collect();
        if let Some(waiting) = by_state.get_mut(JobState::Waiting.as_str()) {
            *waiting += parked.count();
        }
        Ok(Counts { by_state, paused: paused.count() == 1 })
    }

    /// How many jobs are to be run: waiting, prioritized, delayed and waiting for children. Those that run are not
    /// counted.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn count(&self) -> Result<u64, QueueError> {
        let states = [JobState::Waiting, JobState::Delayed, JobState::Prioritized, JobState::WaitingChildren];
        Ok(self.counts_of(&states).await?.unfinished())
    }

    /// How many delayed jobs are due before `due_ms`, epoch ms.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn delayed_before(&self, due_ms: u64) -> Result<u64, QueueError> {
        let lowest_after = format!("({}", due_ms.saturating_mul(DELAYED_SLOTS));
        let args = vec![self.state_key(JobState::Delayed), "-inf".into(), lowest_after.into()];
        Ok(self.redis.command("ZCOUNT", args).await?.count())
    }

    /// How many jobs wait with each of these priorities; 0 is none.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn counts_per_priority(&self, priorities: &[u32]) -> Result<BTreeMap<u32, u64>, QueueError> {
        let ranked: Vec<u32> = priorities.iter().copied().filter(|priority| *priority > 0).collect();
        let commands = ranked.iter().map(|priority| {
            let lowest = u64::from(*priority) * PRIORITY_BAND;
            let args: Vec<Arg> =
                vec![self.state_key(JobState::Prioritized), lowest.into(), (lowest + PRIORITY_BAND - 1).into()];
            ("ZCOUNT", args)
        });
        let answers = self.redis.commands(commands.collect()).await?;
        let mut counts: BTreeMap<_, _> =
            ranked.into_iter().zip(answers.iter().map(crate::redis::Reply::count)).collect();
        if priorities.contains(&0) {
            counts.insert(0, self.counts_of(&[JobState::Waiting]).await?.of(JobState::Waiting));
        }
        Ok(counts)
    }

    /// Whether claims are stopped.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn is_paused(&self) -> Result<bool, QueueError> {
        let args = vec![self.keys.key("meta").into(), "paused".into()];
        Ok(self.redis.command("HEXISTS", args).await?.count() == 1)
    }

    /// Whether as many jobs run as the queue's global concurrency lets; never without one.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn is_maxed(&self) -> Result<bool, QueueError> {
        let limit = vec![self.keys.key("meta").into(), "concurrency".into()];
        let commands = vec![("HGET", limit), ("LLEN", vec![self.state_key(JobState::Active)])];
        let answers = self.redis.commands(commands).await?;
        let (limit, active) = (answers.first().and_then(|limit| limit.int()), answers.last());
        Ok(limit.is_some_and(|limit| active.and_then(|active| active.int()).unwrap_or(0) >= limit))
    }
}
