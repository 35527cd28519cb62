//! A worker is told to stop while an answer is under way.

use std::time::Duration;

use operator_core::JobState;

use crate::rig::{Rig, job};
use crate::{count_events, gated, patient, proxied};

/// Longer than jobs that were told to stop are waited for.
const PAST_GRACE: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn a_job_whose_outcome_is_under_way_is_not_handed_back_as_well() {
    let rig = Rig::start().await;
    let (proxy, config) = proxied(&rig).await;
    let (worker, gate) = gated(&config, patient(&rig, 1)).await;
    rig.queue.add(job("gated", "a")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    let held = proxy.hold_request("operator:history");
    gate.add_permits(1);
    held.arrived().await;
    let mut stop = std::pin::pin!(worker.stop(Duration::ZERO));
    assert!(tokio::time::timeout(PAST_GRACE, &mut stop).await.is_err(), "the outcome is waited for");
    held.part().await;
    let drained = stop.await;
    assert_eq!((drained.settled, drained.handed_back, drained.left), (1, 0, 0));
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.of(JobState::Completed), counts.unfinished()), (1, 0));
    assert_eq!(count_events(&rig, "waiting").await, 1);
}

#[tokio::test]
async fn a_job_claimed_after_running_ones_were_given_up_is_handed_back() {
    let rig = Rig::start().await;
    let (proxy, config) = proxied(&rig).await;
    rig.queue.add(job("gated", "a")).await.unwrap();
    let held = proxy.hold_request("operator:history");
    let (worker, _gate) = gated(&config, patient(&rig, 1)).await;
    held.arrived().await;
    let mut stop = std::pin::pin!(worker.stop(Duration::ZERO));
    assert!(tokio::time::timeout(PAST_GRACE, &mut stop).await.is_err(), "the answer is waited for");
    held.forward();
    let drained = stop.await;
    assert_eq!((drained.settled, drained.handed_back, drained.left), (0, 1, 0));
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Waiting);
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().attempts_made, 0);
    assert_eq!(rig.raw.call(&["EXISTS", "bull:q:a:lock"]).await.int(), 0);
}
