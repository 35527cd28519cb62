//! Wake-ups that do not come: a connection that falls silent, a queue that nobody looks at.

use std::sync::Arc;
use std::time::Duration;

use operator_core::{JobState, Json, NewJob, QueueName};
use operator_queue::Queue;
use operator_queue::worker::{Worker, WorkerOptions};
use operator_testkit::wait::eventually;

use crate::rig::{Rig, Script, job};
use crate::{patient, proxied, worker_of};

#[tokio::test]
async fn a_worker_whose_connection_falls_silent_while_it_is_named_works_on() {
    let rig = Rig::start().await;
    let (proxy, config) = proxied(&rig).await;
    // The name of the waiting connection, and nothing else.
    let held = proxy.hold_request("SETNAME");
    let options = WorkerOptions { idle_wait: Duration::from_millis(100), ..patient(&rig, 1) };
    let worker = Worker::start(&config, options, Arc::new(Script)).await.unwrap();
    held.arrived().await;
    for count in 1..=3 {
        rig.queue.add(job("echo", "")).await.unwrap();
        rig.until(JobState::Completed, count).await;
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_queue_with_a_standing_backlog_leaves_the_others_their_turn() {
    let rig = Rig::start().await;
    let quiet = Queue::new(&rig.redis, QueueName::new("quiet").unwrap());
    let queues = vec![rig.queue.name().clone(), quiet.name().clone()];
    let options = WorkerOptions { queues, idle_wait: Duration::from_millis(100), ..patient(&rig, 1) };
    // Every job of the busy queue leaves another behind.
    let backlog = || NewJob::new("more", Json::null());
    rig.queue.add_bulk(vec![backlog(); 10]).await.unwrap();
    let worker = worker_of(&rig.config, options, move |claimed| async move {
        if claimed.job.name == "more" {
            claimed.queue.add(backlog()).await.unwrap();
        }
        Ok(Json::null())
    })
    .await;
    eventually("the busy queue to be busy", async || {
        (rig.queue.counts().await.ok()?.of(JobState::Completed) > 20).then_some(())
    })
    .await;
    quiet.add(job("echo", "a")).await.unwrap();
    eventually("the quiet queue to have its turn", async || {
        (quiet.counts().await.ok()?.of(JobState::Completed) == 1).then_some(())
    })
    .await;
    assert!(rig.queue.counts().await.unwrap().unfinished() >= 9);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_worker_that_is_paused_keeps_in_contact() {
    let rig = Rig::start().await;
    let options = WorkerOptions { idle_wait: Duration::from_millis(100), ..patient(&rig, 1) };
    let worker = Worker::start(&rig.config, options, Arc::new(Script)).await.unwrap();
    worker.pause();
    let status = worker.status();
    for _ in 0..3 {
        let mut last = Duration::ZERO;
        eventually("another contact", async || {
            let silent = status.silent_for();
            (std::mem::replace(&mut last, silent) > silent).then_some(())
        })
        .await;
    }
    worker.stop(Duration::ZERO).await;
}
