//! What a worker does beyond running jobs: limits, jobs that move themselves, rules of retrying, its pace, processing by
//! hand, and all of it beside BullMQ.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod journal;
#[path = "../rig/mod.rs"]
mod rig;

mod beside;
mod limits;
mod manual;
mod moves;
mod pace;
mod rules;

use std::sync::Arc;

use operator_core::{Failure, Json};
use rig::worker_of;
use tokio::sync::Semaphore;

/// Jobs wait in front of it until the test lets some through.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Gate {
    fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets `count` jobs through.
    fn let_through(&self, count: usize) {
        self.0.add_permits(count);
    }

    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// The answer of a job that is through.
fn done() -> Result<Json, Failure> {
    Ok(Json::null())
}
