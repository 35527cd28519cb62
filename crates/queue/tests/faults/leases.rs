//! Jobs that are taken away while they run, and outcomes that cannot be written for a while.

use std::time::Duration;

use operator_core::JobState;
use operator_testkit::wait::eventually;
use tokio::sync::mpsc;

use crate::rig::{Rig, job};
use crate::{gated, patient, worker_of};

/// How long the server is busy: more than five calls with pauses that grow from 50 to 800 ms.
const FIVE_REFUSALS: Duration = Duration::from_secs(3);

/// Told when a run ends, however it ends.
struct Ends(mpsc::UnboundedSender<u32>, u32);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

#[tokio::test]
async fn a_worker_that_claims_a_job_it_had_lost_ends_the_lost_run() {
    let rig = Rig::start().await;
    let (ended, mut ends) = mpsc::unbounded_channel();
    let worker = worker_of(&rig.config, patient(&rig, 2), move |claimed| {
        let ends = Ends(ended.clone(), claimed.job.attempts_started);
        async move {
            let _ends = ends;
            std::future::pending().await
        }
    })
    .await;
    rig.queue.add(job("hang", "a")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    // As a stalled check leaves it: in one step, so that nobody sees it half-way.
    let recover = "redis.call('DEL', 'bull:q:a:lock') redis.call('LREM', 'bull:q:active', 1, 'a') \
        redis.call('RPUSH', 'bull:q:wait', 'a') redis.call('ZADD', 'bull:q:marker', 0, '0')";
    rig.raw.call(&["EVAL", recover, "0"]).await.ok();
    assert_eq!(ends.recv().await, Some(1), "the first run is dropped");
    let status = worker.status();
    eventually("one run to be left", async || (status.lost() == 1 && status.busy() == 1).then_some(())).await;
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Active);
    let drained = worker.stop(Duration::ZERO).await;
    assert_eq!((drained.handed_back, drained.left), (1, 0));
    assert_eq!(ends.recv().await, Some(2));
}

#[tokio::test]
async fn outcomes_wait_for_a_server_that_is_busy_with_a_script() {
    let rig = Rig::start().await;
    rig.raw.call(&["CONFIG", "SET", "lua-time-limit", "50"]).await.ok();
    let (worker, gate) = gated(&rig.config, patient(&rig, 1)).await;
    rig.queue.add(job("gated", "a")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    let busy = rig.server.client().await;
    let evaluate = async { busy.call(&["EVAL", "while true do end", "0"]).await };
    let finish = async {
        eventually("the server to be busy", async || {
            let reply = rig.raw.try_call(&["PING"]).await.ok()?;
            matches!(reply, operator_testkit::redis::Reply::Error(error) if error.starts_with("BUSY")).then_some(())
        })
        .await;
        gate.add_permits(1);
        tokio::time::sleep(FIVE_REFUSALS).await;
        rig.raw.call(&["SCRIPT", "KILL"]).await.ok();
    };
    tokio::join!(evaluate, finish);
    rig.until(JobState::Completed, 1).await;
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((job.attempts_made, job.attempts_started, worker.status().lost()), (1, 1, 0));
    worker.stop(Duration::ZERO).await;
}
