//! `system.sleep`: occupies a slot for a while, without work.

use std::time::Duration;

use operator_core::Failure;
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::executor::bad_data;

/// The longest sleep, one hour: a slot that sleeps longer is better served by a delayed job.
pub const MAX_SLEEP_MS: u64 = 3_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    ms: u64,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    slept_ms: u64,
}

pub(super) async fn run(Input { ms }: Input, context: Context) -> Result<Output, Failure> {
    if ms > MAX_SLEEP_MS {
        return Err(bad_data(&context, &format!("ms: {ms} is more than {MAX_SLEEP_MS}: add a delayed job instead")));
    }
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(ms)) => Ok(Output { slept_ms: ms }),
        () = context.cancelled().cancelled() => Err(context.stopped()),
    }
}

#[cfg(test)]
mod tests {
    use operator_core::{FailureKind, Json};
    use tokio::time::Instant;

    use super::*;
    use crate::Rehearsal;

    fn rehearsal() -> Rehearsal {
        Rehearsal::of("system.sleep", Json::null())
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_lasts_as_long_as_asked() {
        let start = Instant::now();
        let output = run(Input { ms: 90_000 }, rehearsal().context()).await;
        assert_eq!(output.unwrap(), Output { slept_ms: 90_000 });
        assert!(start.elapsed() >= Duration::from_secs(90));
    }

    #[tokio::test]
    async fn a_sleep_beyond_the_limit_is_refused() {
        let failure = run(Input { ms: MAX_SLEEP_MS + 1 }, rehearsal().context()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unrecoverable);
        assert!(failure.message.contains("ms: 3600001 is more than 3600000"), "{}", failure.message);
    }

    #[tokio::test]
    async fn a_cancelled_sleep_ends_at_once_and_may_be_retried() {
        let rehearsal = rehearsal();
        let sleeping = tokio::spawn(run(Input { ms: MAX_SLEEP_MS }, rehearsal.context()));
        rehearsal.cancel();
        let failure = sleeping.await.unwrap().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Retryable);
        assert!(failure.message.contains("`system.sleep` was stopped"), "{}", failure.message);
    }
}
