//! The built-in pack `system`: job types that every worker has.
//!
//! Four of them try out a queue (echo, sleep, fail, flaky) and one does real work (http). One file per job type;
//! the table of their inputs, results and failures is in the README of this crate.

mod fail;
mod flaky;
mod http;
mod settings;
mod sleep;

use std::sync::Arc;

pub use settings::SystemSettings;
pub use sleep::MAX_SLEEP_MS;

use crate::{Context, Registry};

/// The whole pack.
pub(crate) fn register(registry: &mut Registry, settings: SystemSettings) {
    let http = Arc::new(http::Http::new(settings));
    registry
        .register_executor("system.echo", Arc::new(async |context: Context| Ok(context.data().clone())))
        .register("system.sleep", sleep::run)
        .register("system.fail", fail::run)
        .register("system.flaky", flaky::run)
        .register("system.http", move |input, context| Arc::clone(&http).run(input, context));
}

#[cfg(test)]
mod tests {
    use operator_core::{FailureKind, Json};
    use serde_json::json;

    use super::*;
    use crate::Rehearsal;

    #[tokio::test]
    async fn echo_returns_its_data_byte_for_byte() {
        let registry = Registry::with_system(SystemSettings::default());
        let text = "{\"b\":1.50,  \"a\":\"\\u00e9\"}";
        let context = Rehearsal::of("system.echo", Json::parse(text).unwrap()).context();
        assert_eq!(registry.execute(context).await.unwrap().as_str(), text);
    }

    #[tokio::test]
    async fn a_field_that_a_job_type_does_not_know_is_refused_by_name() {
        let registry = Registry::with_system(SystemSettings::default());
        for (name, data) in [
            ("system.sleep", json!({"ms": 1, "oops": 1})),
            ("system.fail", json!({"message": "no", "oops": 1})),
            ("system.flaky", json!({"failures": 1, "oops": 1})),
            ("system.http", json!({"url": "http://localhost", "oops": 1})),
        ] {
            let failure = registry.execute(Rehearsal::of(name, data).context()).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unrecoverable, "{name}");
            let start = format!("the data does not fit `{name}`: oops: unknown field `oops`, expected");
            assert!(failure.message.starts_with(&start), "{}", failure.message);
        }
    }
}
