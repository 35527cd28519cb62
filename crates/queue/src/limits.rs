//! Limits of a whole queue, which every worker of it honours, ours and BullMQ's.

use std::time::Duration;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::worker::RateLimit;

/// What the limiter holds while a queue rests (bullmq-wire, section 3.6): more than any rate allows.
const RESTING: u64 = 9_007_199_254_740_991;

impl Queue {
    /// Lets no more than `limit` jobs run at a time, over all workers.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for 0, [`QueueError::Redis`].
    pub async fn set_global_concurrency(&self, limit: u64) -> Result<(), QueueError> {
        self.set_meta(&[("concurrency", positive("concurrency", limit)?)]).await
    }

    /// Lets as many jobs run as workers have slots.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn remove_global_concurrency(&self) -> Result<(), QueueError> {
        self.delete_meta(&["concurrency"]).await
    }

    /// How many jobs may run at a time, over all workers; `None` without such a limit.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn global_concurrency(&self) -> Result<Option<u64>, QueueError> {
        Ok(self.meta_number("concurrency").await?)
    }

    /// Lets no more than `limit.max` jobs start within `limit.duration`, over all workers.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for a maximum or duration of 0, [`QueueError::Redis`].
    pub async fn set_global_rate_limit(&self, limit: RateLimit) -> Result<(), QueueError> {
        let max = positive("max", limit.max)?;
        self.set_meta(&[("max", max), ("duration", duration_ms("duration", limit.duration)?)]).await
    }

    /// Lets jobs start as fast as workers take them, or as their own limiters say.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn remove_global_rate_limit(&self) -> Result<(), QueueError> {
        self.delete_meta(&["max", "duration"]).await
    }

    /// The queue's own rate limit, if it has one.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn global_rate_limit(&self) -> Result<Option<RateLimit>, QueueError> {
        let (max, duration) = (self.meta_number("max").await?, self.meta_number("duration").await?);
        Ok(max.zip(duration).map(|(max, ms)| RateLimit { max, duration: Duration::from_millis(ms) }))
    }

    /// Lets the queue rest: no job starts for `pause`, whatever limiters its workers have. BullMQ's own workers obey
    /// it only when they or the queue have a rate limit.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for less than a millisecond, [`QueueError::Redis`].
    pub async fn rate_limit(&self, pause: Duration) -> Result<(), QueueError> {
        let pause_ms = duration_ms("pause", pause)?;
        let args: Vec<Arg> = vec![self.keys.key("limiter").into(), RESTING.into(), "PX".into(), pause_ms.into()];
        self.redis.command("SET", args).await?;
        Ok(())
    }

    /// Ends a rest and starts the count of the rate limit anew. Says whether there was one.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn remove_rate_limit(&self) -> Result<bool, QueueError> {
        Ok(self.redis.command("DEL", vec![self.keys.key("limiter").into()]).await?.count() == 1)
    }

    /// For how long no job may start because the rate is used up; `None` when jobs may start. `max_jobs` is a worker's
    /// own limit, which counts unless the queue has one. Without either, what is left of the current stretch of time or
    /// of the queue's rest.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn rate_limit_ttl(&self, max_jobs: Option<u64>) -> Result<Option<Duration>, QueueError> {
        let limiter = self.keys.key("limiter");
        let answers = self
            .redis
            .commands(vec![
                ("GET", vec![limiter.as_str().into()]),
                ("PTTL", vec![limiter.into()]),
                ("HGET", vec![self.keys.key("meta").into(), "max".into()]),
            ])
            .await?;
        let number = |at: usize| answers.get(at).and_then(|answer| u64::try_from(answer.int()?).ok());
        let is_used_up = number(2).or(max_jobs).is_none_or(|max| number(0).unwrap_or(0) >= max);
        Ok(number(1).filter(|ttl| is_used_up && *ttl > 0).map(Duration::from_millis))
    }

    pub(crate) async fn meta_number(&self, field: &'static str) -> Result<Option<u64>, crate::RedisError> {
        let value = self.redis.command("HGET", vec![self.keys.key("meta").into(), field.into()]).await?;
        Ok(value.int().and_then(|number| u64::try_from(number).ok()))
    }

    async fn set_meta(&self, fields: &[(&'static str, u64)]) -> Result<(), QueueError> {
        let mut args: Vec<Arg> = vec![self.keys.key("meta").into()];
        args.extend(fields.iter().flat_map(|(field, value)| [Arg::from(*field), Arg::from(*value)]));
        self.redis.command("HSET", args).await?;
        Ok(())
    }

    async fn delete_meta(&self, fields: &[&'static str]) -> Result<(), QueueError> {
        let mut args: Vec<Arg> = vec![self.keys.key("meta").into()];
        args.extend(fields.iter().map(|field| Arg::from(*field)));
        self.redis.command("HDEL", args).await?;
        Ok(())
    }
}

fn positive(field: &'static str, number: u64) -> Result<u64, QueueError> {
    if number > 0 {
        return Ok(number);
    }
    Err(QueueError::InvalidArgument { field, problem: "must be 1 or more; remove the limit instead".to_owned() })
}

fn duration_ms(field: &'static str, duration: Duration) -> Result<u64, QueueError> {
    positive(field, u64::try_from(duration.as_millis()).unwrap_or(RESTING).min(RESTING))
}
