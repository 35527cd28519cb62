//! `system.fail`: fails as told, to see what follows from a failure.

use operator_core::Failure;
use serde::Deserialize;

use crate::Context;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    message: String,
    #[serde(default)]
    unrecoverable: bool,
}

pub(super) async fn run(input: Input, _context: Context) -> Result<(), Failure> {
    Err(if input.unrecoverable { Failure::unrecoverable(input.message) } else { Failure::retryable(input.message) })
}

#[cfg(test)]
mod tests {
    use operator_core::Failure;
    use serde_json::json;

    use crate::{Registry, Rehearsal, SystemSettings};

    #[tokio::test]
    async fn a_failure_is_the_one_asked_for() {
        let registry = Registry::with_system(SystemSettings::default());
        for (data, expected) in [
            (json!({"message": "out of paper"}), Failure::retryable("out of paper")),
            (json!({"message": "on fire", "unrecoverable": true}), Failure::unrecoverable("on fire")),
        ] {
            let failure = registry.execute(Rehearsal::of("system.fail", data).context()).await.unwrap_err();
            assert_eq!(failure, expected);
        }
    }
}
