//! One attempt from its start to its end, on the program's runtime: the job's own end, or that it was stopped.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use operator_core::{Failure, Json};

use super::oversight::StopCause;
use super::{ClaimedJob, Handler};

/// How an attempt ended.
pub(super) enum Ended {
    /// As the job wanted, or by passing a limit.
    Result(Result<Json, Failure>),
    /// It was told to stop because the job is cancelled.
    Cancelled,
    /// It was given up unfinished.
    GivenUp,
}

/// Runs the job. One that is told to stop has `grace` for it, and is dropped then.
pub(super) async fn run(handler: Arc<dyn Handler>, claimed: ClaimedJob, grace: Duration) -> Ended {
    let watch = claimed.watch.clone();
    let run = AssertUnwindSafe(async move { handler.run(claimed).await }).catch_unwind();
    tokio::pin!(run);
    let result = tokio::select! {
        biased;
        result = &mut run => Some(result),
        () = watch.dropped() => return Ended::GivenUp,
        () = watch.token().cancelled() => None,
        _ = watch.broken() => None,
    };
    if result.is_none() {
        tokio::select! {
            biased;
            _ = &mut run => {}
            () = watch.dropped() => return Ended::GivenUp,
            () = tokio::time::sleep(grace) => {}
        }
    }
    match (watch.cause(), result) {
        (Some(StopCause::Cancelled), _) => Ended::Cancelled,
        (Some(cause @ (StopCause::TimedOut | StopCause::Silent)), _) => Ended::Result(Err(watch.failure(cause))),
        // A job that noticed that it was given up reports it as a failure; it was interrupted, which costs no attempt.
        (Some(StopCause::GivenUp), Some(Ok(Ok(result)))) => Ended::Result(Ok(result)),
        (Some(StopCause::GivenUp), _) | (None, None) => Ended::GivenUp,
        (None, Some(result)) => Ended::Result(result.unwrap_or_else(|panic| Err(panicked(&*panic)))),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::retryable(format!("the job panicked: {}", text.unwrap_or("without a message")))
}
