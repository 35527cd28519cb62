//! Keeps schedulers going: on BullMQ's wire the worker that claims a scheduler's job makes the next one, whoever
//! created the scheduler.

use operator_core::Job;
use operator_core::schedule::{InvalidSchedule, next_cron, next_every};
use serde_json::{Map, Value, json};

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

/// The next job of a scheduler.
struct Next {
    slot_ms: u64,
    opts: Map<String, Value>,
    priority: u64,
}

impl Queue {
    /// Makes the job that follows `job` in its scheduler, if it is the scheduler's current one and another is due.
    /// Says whether it made one; calling it twice makes one.
    ///
    /// # Errors
    /// [`QueueError::Corrupt`] when the job's schedule cannot be read, [`QueueError::Redis`].
    pub(crate) async fn advance_scheduler(&self, job: &Job) -> Result<bool, QueueError> {
        let Some(scheduler) = &job.scheduler_id else { return Ok(false) };
        let prefix = format!("repeat:{scheduler}:");
        let Some(slot_ms) = job.id.as_str().strip_prefix(&prefix).and_then(|slot| slot.parse().ok()) else {
            return Ok(false);
        };
        let offset =
            self.redis.command("HGET", vec![self.keys.key(&format!("repeat:{scheduler}")).into(), "offset".into()]);
        let offset_ms = offset.await?.count();
        let now = self.now_ms();
        let next = next_job(job, scheduler, slot_ms, offset_ms, now).map_err(|error| QueueError::Corrupt {
            what: format!("the schedule {scheduler} of queue {}", self.name),
            problem: error.to_string(),
        })?;
        let Some(next) = next else { return Ok(false) };
        let opts = serde_json::to_string(&next.opts).expect("a JSON map can be encoded");
        let args: Vec<Arg> = vec![
            self.keys.prefix().into(),
            scheduler.into(),
            slot_ms.into(),
            next.slot_ms.into(),
            opts.into(),
            now.into(),
            next.priority.into(),
        ];
        Ok(self.script(&scripts::ADVANCE, None, args).await?.count() == 1)
    }
}

/// The next job's slot and options: those of the claimed job, one iteration on. `None` when the schedule has ended.
fn next_job(
    job: &Job,
    scheduler: &str,
    slot_ms: u64,
    offset_ms: u64,
    now: u64,
) -> Result<Option<Next>, InvalidSchedule> {
    let mut opts: Map<String, Value> = job.wire_opts.decode().unwrap_or_default();
    let Some(Value::Object(mut repeat)) = opts.remove("repeat") else { return Ok(None) };
    let number = |repeat: &Map<String, Value>, name: &str| repeat.get(name).and_then(Value::as_f64).map(whole);
    let count = number(&repeat, "count").unwrap_or(0) + 1;
    let is_over = number(&repeat, "limit").is_some_and(|limit| limit < count)
        || number(&repeat, "endDate").is_some_and(|end| now > end);
    let pattern = repeat.get("pattern").and_then(Value::as_str).map(str::to_owned);
    let next_slot_ms = match (&pattern, number(&repeat, "every")) {
        _ if is_over => None,
        (Some(pattern), _) => next_cron(pattern, repeat.get("tz").and_then(Value::as_str), now.max(slot_ms))?,
        (None, Some(every_ms)) => Some(next_every(slot_ms, every_ms, offset_ms, now)),
        (None, None) => None,
    };
    let Some(next_slot_ms) = next_slot_ms else { return Ok(None) };
    repeat.insert("count".to_owned(), json!(count));
    opts.insert("repeat".to_owned(), Value::Object(repeat));
    opts.insert("repeatJobKey".to_owned(), json!(scheduler));
    opts.insert("jobId".to_owned(), json!(format!("repeat:{scheduler}:{next_slot_ms}")));
    opts.insert("timestamp".to_owned(), json!(now));
    opts.insert("delay".to_owned(), json!(next_slot_ms.saturating_sub(now)));
    if pattern.is_some() {
        opts.insert("prevMillis".to_owned(), json!(next_slot_ms));
    }
    let priority = number(&opts, "priority").unwrap_or(0);
    Ok(Some(Next { slot_ms: next_slot_ms, opts, priority }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times and counts; a cast saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}
