//! Looking at a queue.

use operator_queue::worker::RateLimit;
use serde_json::{Value, json};

use super::{Ours, Outcome, done, json, missing, refused, view};
use crate::operation::Operation;

impl Ours {
    pub(super) async fn read(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::IsPaused(on) => done(self.queue(&on.queue)?.is_paused().await),
            Operation::GetJob(on) => {
                let job = self.queue(&on.queue)?.job(&on.id).await.map_err(|error| refused(&error))?;
                Ok(job.as_ref().map_or(Value::Null, view::whole))
            }
            Operation::GetState(on) => {
                done(self.queue(&on.queue)?.state(&on.id).await.map(|state| state.as_str().to_owned()))
            }
            Operation::GetCounts(on) => {
                let counts = self.queue(&on.queue)?.counts().await.map_err(|error| refused(&error))?;
                json(&counts.by_state)
            }
            Operation::GetLogs(get) => {
                let queue = self.queue(&get.queue)?;
                let (logs, count) = queue.logs(&get.id, get.start, get.end).await.map_err(|error| refused(&error))?;
                Ok(json!({ "logs": logs, "count": count }))
            }
            Operation::GetGlobalConcurrency(on) => done(self.queue(&on.queue)?.global_concurrency().await),
            Operation::GetGlobalRateLimit(on) => {
                let limit = self.queue(&on.queue)?.global_rate_limit().await.map_err(|error| refused(&error))?;
                let view = |limit: RateLimit| json!({ "max": limit.max, "duration": limit.duration.as_millis() });
                Ok(limit.map_or(Value::Null, view))
            }
            Operation::GetRateLimitTtl(get) => {
                let ttl =
                    self.queue(&get.queue)?.rate_limit_ttl(get.max_jobs).await.map_err(|error| refused(&error))?;
                Ok(if ttl.is_some() { json!("some") } else { json!(0) })
            }
            other => missing(other),
        }
    }
}
