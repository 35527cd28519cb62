//! Job schedulers: each keeps one pending job in the queue, and whoever claims it makes the next one.
//!
//! Slots are the wire's contract: a scheduler's job is called `repeat:<scheduler>:<slot>`, so that everybody who makes a
//! slot's job makes the same one, and it is made once. The script decides everything that depends on what is stored;
//! only the slots of cron patterns are computed here.

mod advance;
mod iteration;
mod read;
mod repair;
mod repeat;

use operator_core::schedule::{InvalidSchedule, check_scheduler_id};
use operator_core::{JobId, JobOptions, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::redis::{Arg, Reply};
use crate::{scripts, wire};
pub use read::{Scheduler, SchedulerTemplate};
pub use repair::{Repair, RepairOutcome, Stopped};
pub use repeat::Repeat;

/// What the jobs of a scheduler are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobTemplate {
    /// Picks the job type that runs them; the scheduler's id when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What they work on; `null` is `{}`.
    pub data: Json,
    /// How they want to be run.
    #[serde(alias = "options")]
    pub opts: JobOptions,
}

/// The job that a scheduler has pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingIteration {
    /// Its id.
    pub id: JobId,
    /// Milliseconds until it is due; 0 when it may run now.
    #[serde(rename = "delay")]
    pub delay_ms: u64,
}

/// In the order of the script's positions.
#[derive(Serialize)]
struct WireScheduler<'a>(
    &'a str,
    Option<u64>,
    Option<&'a str>,
    Option<&'a str>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
);

impl Queue {
    /// Makes the scheduler `id`, or gives it this schedule and template, and makes its next job in place of the one it
    /// has pending. The same call may come from any number of processes: one job is pending in the end, and an
    /// interval that stays the same keeps its slots. `None` when the pattern has no slot before the end date: then
    /// nothing is written.
    ///
    /// # Errors
    /// [`QueueError::InvalidSchedule`], [`QueueError::InvalidOptions`] and [`QueueError::TooLarge`] before anything is
    /// written; [`QueueError::Refused`] with [`Refusal::SchedulerJobExists`] or [`Refusal::SchedulerSlotsTaken`] when
    /// the next slots have jobs that ran already, which changes nothing either; [`QueueError::Redis`].
    pub async fn upsert_scheduler(
        &self,
        id: &str,
        repeat: &Repeat,
        template: &JobTemplate,
    ) -> Result<Option<PendingIteration>, QueueError> {
        let now = self.now_ms();
        check_scheduler_id(id)?;
        repeat.check(now)?;
        check_template(&template.opts)?;
        self.check(template.name.as_deref().unwrap_or(id), &template.data, &template.opts)?;
        let cron_slot =
            if repeat.immediately && repeat.pattern.is_some() { Some(now) } else { repeat.cron_slot(now)? };
        if cron_slot.is_none() && repeat.every_ms.is_none() {
            return Ok(None);
        }
        if !self.redis.has_registered(self.name.as_str()) {
            self.register().await?;
        }
        let args = upsert_args(self, id, repeat, template, cron_slot, now);
        let hash = scheduler_key(id);
        let reply = match self.script(&scripts::UPSERT_SCHEDULER, Some(&hash), args.clone()).await {
            // It may have taken effect; the second time changes nothing more.
            Err(error) if error.is_ambiguous() => self.script(&scripts::UPSERT_SCHEDULER, Some(&hash), args).await?,
            answer => answer?,
        };
        read_pending(id, cron_slot, &reply.into_list()).map(Some)
    }

    /// Ends the scheduler `id` and removes its pending job, unless that may run already. Says whether there was one.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn remove_scheduler(&self, id: &str) -> Result<bool, QueueError> {
        let args: Vec<Arg> = vec![self.keys.prefix().into(), id.into()];
        Ok(self.script(&scripts::REMOVE_SCHEDULER, Some(&scheduler_key(id)), args).await?.count() == 1)
    }
}

/// The suffix of a scheduler's hash.
fn scheduler_key(id: &str) -> String {
    format!("repeat:{id}")
}

fn upsert_args(
    queue: &Queue,
    id: &str,
    repeat: &Repeat,
    template: &JobTemplate,
    cron_slot: Option<u64>,
    now: u64,
) -> Vec<Arg> {
    let template_opts = wire_opts(&template.opts);
    let scheduler = WireScheduler(
        template.name.as_deref().unwrap_or(id),
        repeat.every_ms,
        repeat.pattern.as_deref(),
        repeat.tz.as_deref(),
        repeat.limit,
        repeat.start_ms,
        repeat.end_ms,
        repeat.offset_of_every(),
        cron_slot,
    );
    let data = if template.data == Json::null() { "{}" } else { template.data.as_str() };
    let json = |map: &Map<String, Value>| serde_json::to_string(map).expect("a JSON map can be encoded");
    let first = iteration::first(template_opts.clone(), id, repeat, cron_slot, now);
    vec![
        queue.keys.prefix().into(),
        id.into(),
        rmp_serde::to_vec(&scheduler).expect("text and numbers can be packed").into(),
        json(&first).into(),
        data.into(),
        json(&template_opts).into(),
        now.into(),
    ]
}

/// A template's options as the wire has them. `attempts` is there only when it says something: each job adds its own.
fn wire_opts(opts: &JobOptions) -> Map<String, Value> {
    let mut fields: Map<String, Value> = serde_json::from_str(&wire::options::encode(opts)).unwrap_or_default();
    if opts.attempts == 0 {
        fields.remove("attempts");
    }
    fields
}

fn read_pending(id: &str, cron_slot: Option<u64>, reply: &[Reply]) -> Result<PendingIteration, QueueError> {
    match reply {
        [job, delay] => {
            Ok(PendingIteration { id: JobId::from_wire(job.text().unwrap_or_default()), delay_ms: delay.count() })
        }
        [code, ..] => {
            let id = cron_slot.map_or_else(|| scheduler_key(id), |slot| format!("repeat:{id}:{slot}"));
            Err(QueueError::Refused { id, refusal: Refusal::from_code(code.int().unwrap_or_default()) })
        }
        [] => Err(crate::redis::RedisError::Answer { what: "upsert_scheduler" }.into()),
    }
}

/// Refuses what a scheduler decides itself, and what would stop it.
fn check_template(opts: &JobOptions) -> Result<(), InvalidSchedule> {
    let refused = |option, problem| Err(InvalidSchedule::TemplateOption { option, problem });
    if opts.deduplication.is_some() {
        return refused("deduplication", "a job that is not added ends the scheduler, and its slots are unique anyway");
    }
    if opts.job_id.is_some() {
        return refused("jobId", "every job of a scheduler has its own id, made of the scheduler's id and the slot");
    }
    if opts.delay_ms > 0 {
        return refused("delay", "the schedule decides when jobs are due; use offset or startDate");
    }
    if opts.parent.is_some() {
        return refused("parent", "no job can wait for all that a scheduler makes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_may_not_decide_what_the_schedule_does() {
        let check = |json: &str| check_template(&serde_json::from_str::<JobTemplate>(json).unwrap().opts);
        assert_eq!(check(r#"{"name":"a","data":{"x":1},"opts":{"attempts":3,"priority":2}}"#), Ok(()));
        for opts in [
            r#"{"deduplication":{"id":"x"}}"#,
            r#"{"jobId":"x"}"#,
            r#"{"delay":5}"#,
            r#"{"parent":{"id":"p","queue":"bull:q"}}"#,
        ] {
            assert!(check(&format!(r#"{{"opts":{opts}}}"#)).is_err(), "{opts}");
        }
    }

    #[test]
    fn a_template_keeps_only_the_options_it_has() {
        let opts: JobOptions = serde_json::from_str(r#"{"priority":2,"keepLogs":4}"#).unwrap();
        assert_eq!(Value::Object(wire_opts(&opts)), serde_json::json!({"priority": 2, "kl": 4}));
        assert!(wire_opts(&JobOptions::default()).is_empty());
    }
}
