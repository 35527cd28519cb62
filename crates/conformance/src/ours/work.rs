//! Workers, and what they do with the jobs they hold.

use operator_core::Json;

use super::{Ours, Outcome, done, missing};
use crate::operation::Operation;

impl Ours {
    pub(super) async fn work(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::UpdateProgress(update) => {
                let progress = Json::from(update.progress.clone());
                done(self.queue(&update.queue)?.update_progress(&update.id, &progress).await)
            }
            Operation::Log(log) => {
                let lines = [log.line.clone()];
                done(self.queue(&log.queue)?.add_logs(&log.id, &lines, log.keep_logs).await)
            }
            other => missing(other),
        }
    }
}
