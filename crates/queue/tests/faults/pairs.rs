//! Faults that meet two calls of a worker at once: one writes what the other does not know of.

use std::sync::Arc;
use std::time::Duration;

use operator_core::{JobState, Json};
use operator_queue::worker::{Status, Worker};
use operator_testkit::fault::Proxy;
use operator_testkit::wait::eventually;
use tokio::sync::Semaphore;

use crate::rig::{Rig, job, worker_of};
use crate::{count_events, gated, patient, proxied};

const SLOTS: usize = 10;
/// As many outcomes as a second call leaves with.
const SHARE: usize = 5;
const JOBS: usize = 20;

/// A worker that runs as many of the jobs as it has slots.
async fn full_worker(rig: &Rig) -> (Proxy, Worker, Arc<Semaphore>) {
    let (proxy, config) = proxied(rig).await;
    rig.queue.add_bulk((0..JOBS).map(|number| job("gated", &format!("j{number}"))).collect()).await.unwrap();
    let (worker, gate) = gated(&config, patient(rig, SLOTS)).await;
    until_busy(&worker.status(), SLOTS).await;
    (proxy, worker, gate)
}

async fn until_busy(status: &Status, jobs: usize) {
    eventually("so many jobs to run", async || (status.busy() == jobs).then_some(())).await;
}

/// Every job was claimed once and ended once. Locks outlive the test, so that nothing was recovered.
async fn assert_each_ran_once(rig: &Rig, worker: Worker) {
    rig.until(JobState::Completed, JOBS as u64).await;
    assert_eq!(worker.status().lost(), 0);
    let drained = worker.stop(Duration::from_secs(5)).await;
    assert_eq!((drained.handed_back, drained.left), (0, 0));
    assert_eq!((count_events(rig, "active").await, count_events(rig, "completed").await), (JOBS, JOBS));
    assert_eq!(rig.queue.counts().await.unwrap().unfinished(), 0);
}

#[tokio::test]
async fn two_calls_whose_answers_are_lost_lose_no_outcome_and_no_claim() {
    let rig = Rig::start().await;
    let (proxy, worker, gate) = full_worker(&rig).await;
    proxy.swallow_replies();
    gate.add_permits(1);
    rig.until(JobState::Completed, 1).await;
    gate.add_permits(SHARE);
    rig.until(JobState::Completed, 1 + SHARE as u64).await;
    // Both have claimed, too, and the worker knows of neither.
    rig.until(JobState::Active, SLOTS as u64).await;
    proxy.heal();
    proxy.cut(operator_testkit::fault::Cut::Reset).await;
    gate.add_permits(JOBS);
    assert_each_ran_once(&rig, worker).await;
}

#[tokio::test]
async fn two_calls_that_never_arrive_are_made_again() {
    let rig = Rig::start().await;
    let (proxy, worker, gate) = full_worker(&rig).await;
    let held = proxy.hold_request("operator:history");
    gate.add_permits(1);
    held.arrived().await;
    gate.add_permits(SHARE);
    until_busy(&worker.status(), SLOTS - 1 - SHARE).await;
    held.part().await;
    gate.add_permits(JOBS);
    assert_each_ran_once(&rig, worker).await;
}

#[tokio::test]
async fn a_drain_waits_for_the_answers_of_both_calls() {
    let rig = Rig::start().await;
    let (proxy, worker, gate) = full_worker(&rig).await;
    let held = proxy.hold_request("operator:history");
    gate.add_permits(1);
    held.arrived().await;
    gate.add_permits(SHARE);
    until_busy(&worker.status(), SLOTS - 1 - SHARE).await;
    let mut stop = std::pin::pin!(worker.stop(Duration::ZERO));
    assert!(tokio::time::timeout(Duration::from_millis(1500), &mut stop).await.is_err(), "the outcomes are waited for");
    held.forward();
    let drained = stop.await;
    assert_eq!((drained.settled, drained.left), (1 + SHARE as u64, 0));
    // What both calls had claimed went back with what still ran.
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.of(JobState::Active), counts.of(JobState::Waiting)), (0, (JOBS - 1 - SHARE) as u64));
}

#[tokio::test]
async fn a_refused_call_holds_up_no_outcome_of_the_one_beside_it() {
    let rig = Rig::start().await;
    let (proxy, config) = proxied(&rig).await;
    let (spoilt, others) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let gates = (Arc::clone(&spoilt), Arc::clone(&others));
    let worker = worker_of(&config, patient(&rig, SLOTS), move |claimed| {
        let gate = Arc::clone(if claimed.job.name == "spoilt" { &gates.0 } else { &gates.1 });
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Json::null())
        }
    })
    .await;
    let jobs = (1..JOBS).map(|number| job("gated", &format!("j{number}")));
    rig.queue.add_bulk(std::iter::once(job("spoilt", "spoilt")).chain(jobs).collect()).await.unwrap();
    until_busy(&worker.status(), SLOTS).await;
    rig.raw.call(&["SET", "bull:q:spoilt", "no hash"]).await.ok();
    let held = proxy.hold_request("operator:history");
    spoilt.add_permits(1);
    held.arrived().await;
    others.add_permits(SHARE);
    until_busy(&worker.status(), SLOTS - 1 - SHARE).await;
    held.forward();
    others.add_permits(JOBS);
    rig.until(JobState::Completed, JOBS as u64 - 1).await;
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::from_secs(5)).await;
    assert_eq!((count_events(&rig, "active").await, count_events(&rig, "completed").await), (JOBS, JOBS - 1));
}
