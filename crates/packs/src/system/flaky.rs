//! `system.flaky`: fails its first attempts and then succeeds, to see retries at work.

use operator_core::Failure;
use serde::{Deserialize, Serialize};

use crate::Context;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    failures: u32,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Output {
    attempts: u32,
}

pub(super) async fn run(Input { failures }: Input, context: Context) -> Result<Output, Failure> {
    let attempt = context.attempt();
    if context.attempts_made() < failures {
        return Err(Failure::retryable(format!("attempt {attempt} fails, as do the first {failures}")));
    }
    Ok(Output { attempts: attempt })
}

#[cfg(test)]
mod tests {
    use operator_core::{FailureKind, Json};

    use super::*;
    use crate::Rehearsal;

    #[tokio::test]
    async fn the_first_attempts_fail_and_the_next_succeeds() {
        for (attempts_made, succeeds) in [(0, false), (1, false), (2, true), (7, true)] {
            let context = Rehearsal::of("system.flaky", Json::null()).after_attempts(attempts_made, 10).context();
            match run(Input { failures: 2 }, context).await {
                Ok(output) => assert_eq!((output.attempts, succeeds), (attempts_made + 1, true)),
                Err(failure) => assert_eq!((failure.kind, succeeds), (FailureKind::Retryable, false)),
            }
        }
    }
}
