//! Looking at schedulers without changing them: unlike in BullMQ, listing never removes one.

use std::collections::HashMap;

use operator_core::{JobOptions, Json};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::repeat::Repeat;
use super::scheduler_key;
use crate::error::QueueError;
use crate::queue::Queue;
use crate::read::{MAX_PAGE, Range};
use crate::redis::{Arg, Reply};
use crate::wire;

/// A scheduler as it stands, under BullMQ's names in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduler {
    /// Its id.
    #[serde(rename = "key")]
    pub id: String,
    /// The name of its jobs.
    pub name: String,
    /// The slot of its current job, epoch milliseconds; in the past once the schedule has ended.
    #[serde(rename = "next")]
    pub next_ms: Option<u64>,
    /// How many jobs it has made; none for a repeatable job of BullMQ 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iteration_count: Option<u64>,
    /// When it makes them.
    #[serde(flatten)]
    pub repeat: Repeat,
    /// What they are; none when it says nothing beyond the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<SchedulerTemplate>,
}

/// What the jobs of a scheduler are, as far as it says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchedulerTemplate {
    /// What they work on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// How they want to be run.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_zero_attempts")]
    pub opts: Option<JobOptions>,
}

impl Queue {
    /// The scheduler `id`, if there is one.
    ///
    /// # Errors
    /// [`QueueError::Corrupt`] when its template is not readable, [`QueueError::Redis`].
    pub async fn scheduler(&self, id: &str) -> Result<Option<Scheduler>, QueueError> {
        let score = ("ZSCORE", vec![self.keys.key("repeat").into(), id.into()]);
        let hash = ("HGETALL", vec![self.keys.key(&scheduler_key(id)).into()]);
        let answers = self.redis.commands(vec![score, hash]).await?;
        let [score, hash] = <[Reply; 2]>::try_from(answers).expect("two commands give two answers");
        match slot(&score) {
            Some(next_ms) => read(id, Some(next_ms), &fields(hash)),
            None => Ok(None),
        }
    }

    /// Schedulers in the order of their next slots, a page of at most [`MAX_PAGE`]. One whose hash is gone or not
    /// readable is left out, and stays where it is.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn schedulers(&self, range: Range) -> Result<Vec<Scheduler>, QueueError> {
        let last = range.last.min(range.first + MAX_PAGE - 1);
        let command = if range.ascending { "ZRANGE" } else { "ZREVRANGE" };
        let args: Vec<Arg> = vec![self.keys.key("repeat").into(), range.first.into(), last.into(), "WITHSCORES".into()];
        let page = self.redis.command(command, args).await?.into_texts();
        let members: Vec<(&String, Option<u64>)> =
            page.chunks_exact(2).map(|pair| (&pair[0], pair[1].parse::<f64>().ok().map(whole))).collect();
        let hash = |id: &str| ("HGETALL", vec![self.keys.key(&scheduler_key(id)).into()]);
        let hashes = self.redis.commands(members.iter().map(|(id, _)| hash(id)).collect()).await?;
        let schedulers = members.into_iter().zip(hashes).filter_map(|((id, next_ms), hash)| {
            let scheduler = read(id, next_ms, &fields(hash));
            if !matches!(scheduler, Ok(Some(_))) {
                tracing::warn!(queue = %self.name, id, "left out a scheduler that is not readable");
            }
            scheduler.ok().flatten()
        });
        Ok(schedulers.collect())
    }

    /// How many schedulers there are.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn schedulers_count(&self) -> Result<u64, QueueError> {
        Ok(self.redis.command("ZCARD", vec![self.keys.key("repeat").into()]).await?.count())
    }
}

/// The fields of a hash.
pub(super) fn fields(hash: Reply) -> HashMap<String, String> {
    let mut texts = hash.into_texts().into_iter();
    let mut fields = HashMap::new();
    while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
        fields.insert(field, value);
    }
    fields
}

/// The schedule in a scheduler's hash.
pub(super) fn repeat_of(fields: &HashMap<String, String>) -> Repeat {
    Repeat::from_wire(|name| fields.get(name).map(|text| Value::from(text.as_str())))
}

fn read(id: &str, next_ms: Option<u64>, fields: &HashMap<String, String>) -> Result<Option<Scheduler>, QueueError> {
    let Some(name) = fields.get("name") else { return Ok(None) };
    let data = fields.get("data").map(|text| Json::parse(text.as_str())).transpose();
    let data = data.map_err(|error| QueueError::Corrupt {
        what: format!("the template of scheduler {id}"),
        problem: error.to_string(),
    })?;
    let opts = fields.get("opts").map(|text| wire::options::decode(text));
    let template = (data.is_some() || opts.is_some()).then_some(SchedulerTemplate { data, opts });
    Ok(Some(Scheduler {
        id: id.to_owned(),
        name: name.clone(),
        next_ms,
        iteration_count: fields.get("ic").and_then(|count| count.parse().ok()),
        repeat: repeat_of(fields),
        template,
    }))
}

fn slot(score: &Reply) -> Option<u64> {
    score.text().and_then(|score| score.parse::<f64>().ok()).map(whole)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time; a cast saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// A template that says nothing of attempts has none.
fn without_zero_attempts<S: Serializer>(opts: &Option<JobOptions>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serde_json::to_value(opts).map_err(serde::ser::Error::custom)?;
    if let Value::Object(fields) = &mut fields
        && fields.get("attempts") == Some(&Value::from(0))
    {
        fields.remove("attempts");
    }
    fields.serialize(serializer)
}
