//! Where everything goes that a running job reports, adds and asks for: its queue.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use operator_core::{Callback, Failure, JobId, Json, NewJob, QueueName};
use operator_packs::{JobHost, Move};
use operator_queue::worker::{Hold, Watch};
use operator_queue::{QueueError, Refusal};

pub(crate) struct QueueHost {
    hold: Hold,
    watch: Watch,
}

impl QueueHost {
    pub(crate) fn new(hold: Hold, watch: Watch) -> Self {
        Self { hold, watch }
    }

    /// Whatever a job asks for shows that it lives.
    fn hold(&self) -> &Hold {
        self.watch.beat();
        &self.hold
    }

    fn id(&self) -> &str {
        self.hold.job().id.as_str()
    }

    async fn go(&self, to: Move) -> Result<bool, QueueError> {
        let hold = self.hold();
        match to {
            Move::After(delay) => hold.move_to_delayed(hold.queue().now_ms().saturating_add(ms(delay))).await?,
            Move::At(at_ms) => hold.move_to_delayed(at_ms).await?,
            Move::Wait => hold.move_to_wait().await?,
            Move::RateLimited(pause) => hold.rate_limit(pause).await?,
            Move::WaitingChildren => return hold.move_to_waiting_children(None).await,
        }
        Ok(true)
    }
}

impl JobHost for QueueHost {
    fn heartbeat(&self) {
        self.watch.beat();
    }

    fn update_progress(&self, progress: Json) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { Ok(self.hold().queue().update_progress(self.id(), &progress).await?) })
    }

    fn log(&self, line: String) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.hold().queue().add_logs(self.id(), &[line], self.hold.job().opts.keep_logs).await?;
            Ok(())
        })
    }

    fn update_data(&self, data: Json) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { self.hold().queue().update_data(self.id(), &data).await.map_err(failure) })
    }

    fn leave(&self, to: Move) -> BoxFuture<'_, Result<bool, Failure>> {
        Box::pin(async move { self.go(to).await.map_err(failure) })
    }

    fn add_child(&self, queue: QueueName, child: NewJob) -> BoxFuture<'_, Result<JobId, Failure>> {
        Box::pin(async move { self.hold().add_child(queue, child).await.map_err(failure) })
    }

    fn expect_callback(&self, expires_ms: u64) -> BoxFuture<'_, Result<Callback, Failure>> {
        Box::pin(async move { self.hold().expect_callback(expires_ms).await.map_err(failure) })
    }

    fn wait_for_callback(&self, expires_ms: u64) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { self.hold().wait_for_callback(expires_ms).await.map_err(failure) })
    }

    fn traceparent(&self) -> Option<String> {
        operator_telemetry::traceparent()
    }

    fn children_values(&self) -> BoxFuture<'_, Result<BTreeMap<String, Json>, Failure>> {
        Box::pin(async move { Ok(self.hold().queue().children_values(self.id()).await?) })
    }
}

fn ms(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}

/// What the same call would be refused for again ends the job; a broken connection may mend.
fn failure(error: QueueError) -> Failure {
    match error {
        QueueError::Refused { refusal: Refusal::FailedChildren | Refusal::ParentConflict, .. }
        | QueueError::InvalidId(_)
        | QueueError::InvalidOptions(_)
        | QueueError::InvalidArgument { .. }
        | QueueError::TooLarge { .. } => Failure::unrecoverable(error.to_string()),
        other => other.into(),
    }
}
