//! What the health server asks a worker.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use operator_queue::Redis;
use operator_telemetry::{HealthState, Telemetry};

use crate::{Status, Worker};

/// The worker's signs of life. Empty until it has started: a process that is still connecting is alive and not ready.
#[derive(Clone, Default)]
pub(crate) struct Vitals(Arc<OnceLock<Signs>>);

struct Signs {
    status: Arc<Status>,
    patience: Duration,
    redis: Redis,
}

impl Vitals {
    /// From now on the checks are about `worker`.
    pub(crate) fn watch(&self, worker: &Worker) {
        let signs = Signs { status: worker.status(), patience: worker.patience(), redis: worker.redis().clone() };
        let _ = self.0.set(signs);
    }

    /// Whether the claim loop turns.
    fn claims(&self) -> Result<(), String> {
        let Some(Signs { status, patience, .. }) = self.0.get() else { return Ok(()) };
        match status.silent_for() {
            silent if silent <= *patience => Ok(()),
            silent => Err(format!(
                "the claim loop has had no answer from redis for {} s; {} s are allowed",
                silent.as_secs(),
                patience.as_secs()
            )),
        }
    }

    /// Whether Redis answers.
    async fn redis(self) -> Result<(), String> {
        match self.0.get() {
            Some(signs) => signs.redis.ping().await.map_err(|error| error.to_string()),
            None => Err("not connected yet".to_owned()),
        }
    }
}

/// The checks behind the health server of a process with one worker.
pub(crate) fn state(telemetry: &Telemetry, vitals: &Vitals) -> HealthState {
    let (claims, redis) = (vitals.clone(), vitals.clone());
    HealthState::new(telemetry.identity.clone(), telemetry.metrics.clone())
        .with_liveness("claims", move || claims.claims())
        .with_readiness("redis", move || redis.clone().redis())
}
