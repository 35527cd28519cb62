//! Looking at a queue.

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
            other => missing(other),
        }
    }
}
