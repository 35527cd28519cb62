//! Requests that reach the server after their connection was given up.

use std::time::Duration;

use operator_core::{Deduplication, FlowJob, JobId, JobOptions, JobState, Json, Keep};
use operator_queue::{FlowProducer, Redis};
use operator_testkit::fault::Cut;
use operator_testkit::wait::eventually;

use crate::rig::{Rig, job, with};
use crate::{count_events, proxied, proxied_queue};

#[tokio::test]
async fn an_add_that_arrives_after_its_repetition_adds_nothing() {
    let rig = Rig::start().await;
    let (proxy, queue) = proxied_queue(&rig).await;
    queue.add(job("echo", "")).await.unwrap();
    let later = JobOptions { delay_ms: 600_000, ..JobOptions::default() };
    let held = proxy.hold_request("bull:q:prioritized");
    let part = async {
        held.arrived().await;
        held.part().await;
    };
    let (ids, ()) = tokio::join!(queue.add_bulk(vec![job("echo", ""), with("echo", "", later)]), part);
    ids.unwrap();
    held.deliver().await;
    let worker = rig.worker(2).await;
    rig.until(JobState::Completed, 2).await;
    worker.stop(Duration::from_secs(5)).await;
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.of(JobState::Completed), counts.of(JobState::Delayed), counts.unfinished()), (2, 1, 1));
    assert_eq!((count_events(&rig, "added").await, count_events(&rig, "completed").await), (3, 2));
}

#[tokio::test]
async fn an_add_that_arrives_after_its_job_has_finished_takes_no_deduplication_id() {
    let rig = Rig::start().await;
    let (proxy, queue) = proxied_queue(&rig).await;
    queue.add(job("echo", "")).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    let one_of_many = || {
        let deduplication = Some(Deduplication { id: "d".to_owned(), ..Deduplication::default() });
        with("echo", "", JobOptions { deduplication, ..JobOptions::default() })
    };
    let held = proxy.hold_request("bull:q:prioritized");
    let part = async {
        held.arrived().await;
        held.part().await;
    };
    let (id, ()) = tokio::join!(queue.add(one_of_many()), part);
    id.unwrap();
    rig.until(JobState::Completed, 2).await;
    held.deliver().await;
    rig.queue.add(one_of_many()).await.unwrap();
    rig.until(JobState::Completed, 3).await;
    worker.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_flow_that_arrives_after_its_repetition_adds_nothing() {
    let rig = Rig::start().await;
    let (proxy, config) = proxied(&rig).await;
    let flows = FlowProducer::new(&Redis::connect(&config).await.unwrap());
    let name = rig.queue.name();
    let flow = FlowJob::new(name.clone(), "root", Json::null());
    let flow = flow.waiting_for(FlowJob::new(name.clone(), "echo", Json::null()));
    let held = proxy.hold_request("root");
    let part = async {
        held.arrived().await;
        held.part().await;
    };
    let (added, ()) = tokio::join!(flows.add(&flow), part);
    added.unwrap();
    held.deliver().await;
    let worker = rig.worker(2).await;
    rig.until(JobState::Completed, 2).await;
    worker.stop(Duration::from_secs(5)).await;
    assert_eq!(rig.queue.counts().await.unwrap().unfinished(), 0);
    assert_eq!((count_events(&rig, "added").await, count_events(&rig, "completed").await), (2, 2));
}

/// The root is an older job's: that it is there says nothing of the children.
#[tokio::test]
async fn a_flow_below_a_job_that_exists_is_added_though_its_first_request_was_lost() {
    let rig = Rig::start().await;
    let (proxy, config) = proxied(&rig).await;
    let flows = FlowProducer::new(&Redis::connect(&config).await.unwrap());
    let name = rig.queue.name();
    let own_id = JobOptions { job_id: Some(JobId::from_wire("root")), ..JobOptions::default() };
    let root = || FlowJob::new(name.clone(), "echo", Json::null()).with(own_id.clone());
    flows.add(&root()).await.unwrap();
    rig.queue.pause().await.unwrap();
    let flow = root().waiting_for(FlowJob::new(name.clone(), "echo", Json::null()));
    let held = proxy.hold_request("root");
    let cut = async {
        held.arrived().await;
        held.part().await;
    };
    let (added, ()) = tokio::join!(flows.add(&flow), cut);
    let child = added.unwrap().children[0].id.clone();
    assert!(rig.queue.job(child.as_str()).await.unwrap().is_some());
}

/// What was added by the first call and is gone by the second is not added again.
#[tokio::test]
async fn a_job_that_ran_before_its_add_was_repeated_runs_once() {
    let rig = Rig::start().await;
    let (proxy, queue) = proxied_queue(&rig).await;
    queue.add(job("echo", "")).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    let gone = JobOptions { remove_on_complete: Some(Keep::Nothing), ..JobOptions::default() };
    proxy.swallow_replies();
    let run = async {
        eventually("the job to have run", async || (count_events(&rig, "completed").await == 2).then_some(())).await;
        proxy.heal();
        proxy.cut(Cut::Reset).await;
    };
    let (id, ()) = tokio::join!(queue.add(with("echo", "", gone)), run);
    id.unwrap();
    worker.stop(Duration::from_secs(5)).await;
    assert_eq!((rig.queue.counts().await.unwrap().unfinished(), count_events(&rig, "added").await), (0, 2));
}
