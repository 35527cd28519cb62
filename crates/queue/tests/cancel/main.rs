//! Jobs that end before their time: cancelled in every state, timed out, silent, expired, or given up because their
//! workers die of them.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

#[path = "../rig/mod.rs"]
mod rig;

mod deadlines;
mod families;
mod poison;
mod running;
mod states;

use operator_core::{Job, JobState, JobStatus};
use operator_queue::Queue;
use operator_testkit::wait::eventually;

/// The job once it has finished, with its state.
async fn finished(queue: &Queue, id: &str) -> (Job, JobState) {
    eventually(&format!("{id} to finish"), async || {
        let state = queue.state(id).await.ok()?;
        if !state.is_finished() {
            return None;
        }
        Some((queue.job(id).await.ok()??, state))
    })
    .await
}

async fn status(queue: &Queue, id: &str) -> JobStatus {
    let (job, state) = finished(queue, id).await;
    job.status(state)
}

async fn until_active(queue: &Queue, id: &str) {
    eventually(&format!("{id} to run"), async || (queue.state(id).await.ok()? == JobState::Active).then_some(())).await;
}
