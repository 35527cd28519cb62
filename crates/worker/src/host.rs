//! Where a running job's progress and log lines go: its queue.

use std::sync::Arc;

use futures::future::BoxFuture;
use operator_core::{Failure, Job, Json};
use operator_packs::JobHost;
use operator_queue::Queue;

pub(crate) struct QueueHost {
    queue: Queue,
    job: Arc<Job>,
}

impl QueueHost {
    pub(crate) fn new(queue: Queue, job: Arc<Job>) -> Self {
        Self { queue, job }
    }
}

impl JobHost for QueueHost {
    fn update_progress(&self, progress: Json) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { Ok(self.queue.update_progress(self.job.id.as_str(), &progress).await?) })
    }

    fn log(&self, line: String) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.queue.add_logs(self.job.id.as_str(), &[line], self.job.opts.keep_logs).await?;
            Ok(())
        })
    }
}
