//! `operator limits`: shows the limits of a queue, after setting or taking off those that were named.

use std::time::Duration;

use operator_queue::Queue;
use operator_queue::worker::RateLimit;
use serde_json::json;

use crate::arguments::{Limit, Limits};
use crate::failure::Failure;
use crate::run::Session;

pub(crate) async fn run(session: &Session, arguments: &Limits) -> Result<(), Failure> {
    let queue = session.queue(&arguments.queue);
    set(&queue, arguments).await?;
    let concurrency = queue.global_concurrency().await?;
    let rate = queue.global_rate_limit().await?;
    let wait_ms = queue.rate_limit_ttl(None).await?.map(ms);
    let rate_json = rate.map(|rate| json!({"max": rate.max, "duration": ms(rate.duration)}));
    let value = json!({"concurrency": concurrency, "rateLimit": rate_json, "waitMs": wait_ms});
    let text = || {
        let concurrency = concurrency.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        let rate = rate.map_or_else(|| "none".to_owned(), |rate| format!("{}/{}", rate.max, ms(rate.duration)));
        let wait = wait_ms.map_or_else(|| "jobs start".to_owned(), |wait_ms| format!("no job starts for {wait_ms} ms"));
        format!("concurrency  {concurrency}\nrate         {rate}\nnow          {wait}")
    };
    Ok(session.output.print(&value, text)?)
}

async fn set(queue: &Queue, arguments: &Limits) -> Result<(), Failure> {
    match arguments.concurrency {
        Some(Limit::Set(limit)) => queue.set_global_concurrency(limit).await?,
        Some(Limit::None) => queue.remove_global_concurrency().await?,
        None => {}
    }
    match arguments.rate {
        Some(Limit::Set((max, duration_ms))) => {
            queue.set_global_rate_limit(RateLimit { max, duration: Duration::from_millis(duration_ms) }).await?;
        }
        Some(Limit::None) => queue.remove_global_rate_limit().await?,
        None => {}
    }
    match arguments.rest {
        Some(Limit::Set(pause_ms)) => queue.rate_limit(Duration::from_millis(pause_ms)).await?,
        Some(Limit::None) => drop(queue.remove_rate_limit().await?),
        None => {}
    }
    Ok(())
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
