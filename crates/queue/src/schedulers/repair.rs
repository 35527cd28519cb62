//! Sets schedulers going again that have stopped: their current job is gone, or ended without making the next one.

use std::collections::HashMap;

use operator_core::JobId;
use serde::Serialize;

use super::iteration::{Iteration, Predecessor};
use super::read::{fields, repeat_of};
use super::scheduler_key;
use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::redis::{Arg, Reply};
use crate::scripts;

/// How many schedulers one call looks at: each may be looked for in three lists.
const CHUNK: usize = 50;

/// What was found of a scheduler that had stopped, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    /// The scheduler.
    pub id: String,
    /// What had become of its current job.
    pub found: Stopped,
    /// What was done.
    pub outcome: RepairOutcome,
}

/// Why a scheduler has stopped: what has become of its current job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stopped {
    /// There is no such job.
    Missing,
    /// It is in no list or set, so nobody will claim it.
    Lost,
    /// It has completed or failed, and nobody made the next one.
    Finished,
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RepairOutcome {
    /// This job was made.
    Made(JobId),
    /// Nothing could be done; why, and what to do.
    Blocked(String),
}

impl Stopped {
    fn from_wire(state: &str) -> Option<Self> {
        [Self::Missing, Self::Lost, Self::Finished].into_iter().find(|stopped| stopped.as_str() == state)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Lost => "lost",
            Self::Finished => "finished",
        }
    }
}

/// A scheduler that has stopped.
struct Found {
    id: String,
    slot: u64,
    state: Stopped,
}

impl Queue {
    /// Looks at every scheduler, in steps of 50, and makes the next job of those that have stopped and have not come
    /// to their end. A slot that still lies ahead is made anew. Workers may run meanwhile: a scheduler that goes on by
    /// itself is left alone, and however many repair at once, one job is made. Says which had stopped.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn repair_schedulers(&self) -> Result<Vec<Repair>, QueueError> {
        let mut repairs = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let args: Vec<Arg> =
                vec![self.keys.key("repeat").into(), (&cursor).into(), "COUNT".into(), (CHUNK as u64).into()];
            let mut page = self.redis.command("ZSCAN", args).await?.into_list().into_iter();
            cursor = page.next().and_then(|cursor| cursor.text()).unwrap_or_else(|| "0".to_owned());
            let members = page.next().map(Reply::into_texts).unwrap_or_default();
            let ids: Vec<&String> = members.iter().step_by(2).collect();
            for ids in ids.chunks(CHUNK) {
                for found in self.stopped(ids).await? {
                    repairs.extend(self.repair(found).await?);
                }
            }
            if cursor == "0" {
                return Ok(repairs);
            }
        }
    }

    async fn stopped(&self, ids: &[&String]) -> Result<Vec<Found>, QueueError> {
        let mut args: Vec<Arg> = vec![self.keys.prefix().into()];
        args.extend(ids.iter().map(|id| Arg::from(*id)));
        let reply = self.script(&scripts::STOPPED_SCHEDULERS, None, args).await?.into_texts();
        let found = |part: &[String]| {
            Some(Found { id: part[0].clone(), slot: part[1].parse().ok()?, state: Stopped::from_wire(&part[2])? })
        };
        Ok(reply.chunks_exact(3).filter_map(found).collect())
    }

    /// `None` when the scheduler has come to its end or goes on by itself, or is one of BullMQ 5's repeatable jobs.
    async fn repair(&self, found: Found) -> Result<Option<Repair>, QueueError> {
        let Found { id, slot, state } = found;
        let report = |outcome| Some(Repair { id: id.clone(), found: state, outcome });
        let job_key = self.keys.key(&format!("repeat:{id}:{slot}"));
        let answers = self
            .redis
            .commands(vec![
                ("HGETALL", vec![self.keys.key(&scheduler_key(&id)).into()]),
                ("HGET", vec![job_key.into(), "opts".into()]),
            ])
            .await?;
        let [hash, opts] = <[Reply; 2]>::try_from(answers).expect("two commands give two answers");
        let hash = fields(hash);
        if hash.is_empty() {
            return Ok(report(RepairOutcome::Blocked("its template is gone: upsert it or remove it".to_owned())));
        }
        if !hash.contains_key("ic") {
            return Ok(None);
        }
        let now = self.now_ms();
        let is_same_slot = slot > now && state != Stopped::Finished;
        let predecessor = predecessor(&hash, opts.text());
        let next = if is_same_slot { Ok(predecessor.again(&id, slot, now)) } else { predecessor.next(&id, slot, now) };
        let iteration = match next {
            Ok(None) => return Ok(None),
            Ok(Some(iteration)) => iteration,
            Err(error) => return Ok(report(RepairOutcome::Blocked(error.to_string()))),
        };
        let args = self.repair_args(&id, slot, state, is_same_slot, &iteration, now);
        let reply = self.script(&scripts::REPAIR_SCHEDULER, Some(&scheduler_key(&id)), args).await?;
        Ok(match (reply.int(), reply.text()) {
            (Some(code), _) if code < 0 => {
                report(RepairOutcome::Blocked(format!("its next job {}", Refusal::from_code(code))))
            }
            (_, Some(made)) => report(RepairOutcome::Made(JobId::from_wire(made))),
            (_, None) => None,
        })
    }

    fn repair_args(
        &self,
        id: &str,
        slot: u64,
        state: Stopped,
        is_same_slot: bool,
        iteration: &Iteration,
        now: u64,
    ) -> Vec<Arg> {
        let opts = serde_json::to_string(&iteration.opts).expect("a JSON map can be encoded");
        vec![
            self.keys.prefix().into(),
            id.into(),
            slot.into(),
            state.as_str().into(),
            u64::from(is_same_slot).into(),
            iteration.cron_slot.map(|slot| slot.to_string()).unwrap_or_default().into(),
            opts.into(),
            now.into(),
        ]
    }
}

/// The job that stopped, as far as it is left; otherwise what its scheduler says of all its jobs.
fn predecessor(hash: &HashMap<String, String>, opts: Option<String>) -> Predecessor {
    let of_job = opts.and_then(|opts| serde_json::from_str(&opts).ok()).and_then(Predecessor::of_job);
    of_job.unwrap_or_else(|| {
        let template = hash.get("opts").and_then(|opts| serde_json::from_str(opts).ok()).unwrap_or_default();
        let count = hash.get("ic").and_then(|count| count.parse().ok()).unwrap_or(1);
        Predecessor::of_template(template, repeat_of(hash), count)
    })
}
