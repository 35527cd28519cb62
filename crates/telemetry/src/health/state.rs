//! The checks behind `/health` and `/ready`, and their verdict.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use serde_json::{Map, Value, json};

use crate::{Identity, Metrics};

/// How long a readiness check may take; beyond it the answer is no. Shorter than the timeouts of those who ask.
pub const READINESS_TIMEOUT: Duration = Duration::from_secs(2);

type LivenessCheck = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
type ReadinessCheck = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What the health routes answer from. Cheap to clone; clones share the draining mark.
#[derive(Clone)]
pub struct HealthState {
    identity: Arc<Identity>,
    metrics: Metrics,
    liveness: Vec<(&'static str, LivenessCheck)>,
    readiness: Vec<(&'static str, ReadinessCheck)>,
    /// Set once, by whoever stops the process.
    draining: Arc<AtomicBool>,
}

/// The outcome of all checks of a kind, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    checks: Vec<(&'static str, Result<(), String>)>,
}

impl HealthState {
    /// A process without checks: alive, and ready until it drains.
    #[must_use]
    pub fn new(identity: Identity, metrics: Metrics) -> Self {
        Self {
            identity: Arc::new(identity),
            metrics,
            liveness: Vec::new(),
            readiness: Vec::new(),
            draining: Arc::default(),
        }
    }

    /// Adds a check of `/health`: whether the process makes progress. It must answer at once, from memory; an error
    /// says why a restart is needed.
    #[must_use]
    pub fn with_liveness(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.liveness.push((name, Arc::new(check)));
        self
    }

    /// Adds a check of `/ready`: whether what the process needs answers. All run at once, each within
    /// [`READINESS_TIMEOUT`]; an error says what is missing.
    #[must_use]
    pub fn with_readiness<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.readiness.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// From now on `/ready` says no, so that nobody sends work to a process that is stopping.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Who this process is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The metrics of this process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Asks every liveness check.
    #[must_use]
    pub fn live(&self) -> Verdict {
        Verdict { checks: self.liveness.iter().map(|(name, check)| (*name, check())).collect() }
    }

    /// Asks every readiness check, at once and within a bound.
    pub async fn ready(&self) -> Verdict {
        if self.draining.load(Ordering::Relaxed) {
            return Verdict { checks: vec![("process", Err("stopping".to_owned()))] };
        }
        let asked = self.readiness.iter().map(|(name, check)| {
            let answer = tokio::time::timeout(READINESS_TIMEOUT, check());
            async move { (*name, answer.await.unwrap_or_else(|_| Err(no_answer()))) }
        });
        Verdict { checks: join_all(asked).await }
    }
}

fn no_answer() -> String {
    format!("no answer within {} s", READINESS_TIMEOUT.as_secs())
}

fn word(outcome: &Result<(), String>) -> Value {
    outcome.as_ref().map_or_else(|problem| problem.as_str(), |()| "ok").into()
}

impl Verdict {
    /// Whether every check passed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|(_, outcome)| outcome.is_ok())
    }

    /// The verdict as the routes answer it.
    #[must_use]
    pub fn to_json(&self, service: &str) -> Value {
        let words = self.checks.iter().map(|(name, outcome)| ((*name).to_owned(), word(outcome)));
        let checks: Map<String, Value> = words.collect();
        match self.reason() {
            None => json!({ "status": "ok", "service": service, "checks": checks }),
            Some(reason) => {
                json!({ "status": "unavailable", "service": service, "reason": reason, "checks": checks })
            }
        }
    }

    fn reason(&self) -> Option<String> {
        let failed =
            self.checks.iter().filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.as_ref().err()?)));
        let reasons: Vec<String> = failed.collect();
        if reasons.is_empty() { None } else { Some(reasons.join("; ")) }
    }
}

impl fmt::Debug for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let liveness: Vec<_> = self.liveness.iter().map(|(name, _)| name).collect();
        let readiness: Vec<_> = self.readiness.iter().map(|(name, _)| name).collect();
        f.debug_struct("HealthState")
            .field("identity", &self.identity)
            .field("liveness", &liveness)
            .field("readiness", &readiness)
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}
