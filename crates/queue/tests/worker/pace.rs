//! A worker paused, resumed and given more or fewer slots while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use operator_core::{JobOptions, JobState, QueueName};
use operator_queue::Queue;
use operator_queue::worker::{Worker, WorkerOptions};
use operator_testkit::wait::eventually;
use tokio::sync::mpsc;

use crate::journal::{journal, most_at_a_time};
use crate::rig::{Rig, job, options, with};
use crate::{Gate, done, worker_of};

/// Only a wake-up, never its own patience, brings this worker to a job in time.
fn sleepy(rig: &Rig, name: &str, concurrency: usize) -> WorkerOptions {
    let patience = Duration::from_secs(300);
    WorkerOptions {
        idle_wait: patience,
        stalled_interval: patience,
        name: Some(name.to_owned()),
        ..options(&rig.queue, concurrency)
    }
}

/// Which worker ran each of the jobs `<prefix>0..count`.
async fn runners(rig: &Rig, prefix: &str, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..count {
        let job = rig.queue.job(&format!("{prefix}{number}")).await.unwrap().unwrap();
        names.push(job.processed_by.unwrap());
    }
    names.dedup();
    names
}

async fn add(rig: &Rig, prefix: &str, count: usize) {
    rig.queue.add_bulk((0..count).map(|number| job("echo", &format!("{prefix}{number}"))).collect()).await.unwrap();
}

#[tokio::test]
async fn a_paused_worker_leaves_jobs_to_others_until_it_resumes() {
    let rig = Rig::start().await;
    let first = rig.worker_with(sleepy(&rig, "first", 4)).await;
    let second = rig.worker_with(sleepy(&rig, "second", 4)).await;
    first.pause();
    assert!(first.is_paused() && !second.is_paused());
    first.status().idle().await;
    add(&rig, "a", 20).await;
    rig.until(JobState::Completed, 20).await;
    second.pause();
    second.status().idle().await;
    first.resume();
    assert!(!first.is_paused());
    add(&rig, "b", 20).await;
    rig.until(JobState::Completed, 40).await;
    assert_eq!(
        (runners(&rig, "a", 20).await, runners(&rig, "b", 20).await),
        (vec!["second".to_owned()], vec!["first".to_owned()])
    );
    first.stop(Duration::ZERO).await;
    second.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn jobs_that_run_go_on_while_their_worker_is_paused() {
    let rig = Rig::start().await;
    let gate = Gate::closed();
    let passed = gate.clone();
    let worker = worker_of(&rig.config, options(&rig.queue, 2), move |_| {
        let gate = passed.clone();
        async move {
            gate.pass().await;
            done()
        }
    })
    .await;
    add(&rig, "a", 3).await;
    rig.until(JobState::Active, 2).await;
    worker.pause();
    gate.let_through(2);
    worker.status().idle().await;
    rig.until(JobState::Completed, 2).await;
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 1);
    gate.let_through(1);
    worker.resume();
    rig.until(JobState::Completed, 3).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_paused_worker_still_renews_what_it_holds_and_stops_when_told() {
    let rig = Rig::start().await;
    let worker = rig.worker(1).await;
    rig.queue.add(job("hang", "a")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    worker.pause();
    for fresh in [false, true] {
        eventually("the lock to age and to be renewed", async || {
            ((rig.raw.call(&["PTTL", "bull:q:a:lock"]).await.int() > 900) == fresh).then_some(())
        })
        .await;
    }
    let drained = worker.stop(Duration::ZERO).await;
    assert_eq!((drained.handed_back, drained.left), (1, 0));
}

#[tokio::test]
async fn slots_are_added_and_taken_away_while_jobs_run() {
    let rig = Rig::start().await;
    let gate = Gate::closed();
    let passed = gate.clone();
    let worker = worker_of(&rig.config, sleepy(&rig, "w", 1), move |_| {
        let gate = passed.clone();
        async move {
            gate.pass().await;
            done()
        }
    })
    .await;
    add(&rig, "a", 12).await;
    rig.until(JobState::Active, 1).await;
    worker.set_concurrency(4);
    rig.until(JobState::Active, 4).await;
    assert_eq!((worker.status().slots(), most_at_a_time(&journal(&rig).await)), (4, 4));

    worker.set_concurrency(0);
    assert_eq!(worker.status().slots(), 1, "never none: that is what pausing is for");
    gate.let_through(4);
    rig.until(JobState::Completed, 4).await;
    let before = journal(&rig).await.len();
    gate.let_through(8);
    rig.until(JobState::Completed, 12).await;
    let after: Vec<_> = journal(&rig).await.into_iter().skip(before).collect();
    assert_eq!(most_at_a_time(&after), 1);
    worker.stop(Duration::ZERO).await;
}

/// A delayed job's marker goes to the first of two sleepers, which is then unable to follow it.
async fn a_wake_up_is_passed_on(disable: impl AsyncFnOnce(Worker) -> Option<Worker>) {
    let rig = Rig::start().await;
    let first = rig.worker_with(sleepy(&rig, "first", 1)).await;
    // Each worker waits for jobs and, by itself, for notices that one is to be stopped.
    let asleep = async |workers: i64| {
        eventually("sleepers", async || {
            let clients = rig.raw.info("clients").await;
            (clients["blocked_clients"].parse::<i64>().unwrap() == 2 * workers).then_some(())
        })
        .await;
    };
    asleep(1).await;
    let second = rig.worker_with(sleepy(&rig, "second", 1)).await;
    asleep(2).await;
    rig.queue.add(with("echo", "a", JobOptions { delay_ms: 300, ..JobOptions::default() })).await.unwrap();
    eventually("a sleeper to take the marker", async || {
        (rig.raw.call(&["EXISTS", "bull:q:marker"]).await.int() == 0).then_some(())
    })
    .await;
    let first = disable(first).await;
    rig.until(JobState::Completed, 1).await;
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().processed_by.as_deref(), Some("second"));
    if let Some(first) = first {
        first.stop(Duration::ZERO).await;
    }
    second.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_worker_paused_before_a_job_is_due_wakes_another() {
    a_wake_up_is_passed_on(async |worker| {
        worker.pause();
        Some(worker)
    })
    .await;
}

#[tokio::test]
async fn a_worker_stopped_before_a_job_is_due_wakes_another() {
    a_wake_up_is_passed_on(async |worker| {
        worker.stop(Duration::ZERO).await;
        None
    })
    .await;
}

#[tokio::test]
async fn queues_that_have_jobs_take_turns() {
    let rig = Rig::start().await;
    let other = Queue::new(&rig.redis, QueueName::new("other").unwrap());
    let jobs = |prefix| (0..20).map(|number| job("echo", &format!("{prefix}{number}"))).collect();
    rig.queue.add_bulk(jobs("a")).await.unwrap();
    other.add_bulk(jobs("b")).await.unwrap();
    let (ran, mut order) = mpsc::unbounded_channel();
    let queues = vec![rig.queue.name().clone(), other.name().clone()];
    let worker = worker_of(&rig.config, WorkerOptions { queues, ..sleepy(&rig, "one", 1) }, move |claimed| {
        ran.send(claimed.queue.name().to_string()).unwrap();
        std::future::ready(done())
    })
    .await;
    let mut counts = BTreeMap::<String, u32>::new();
    for _ in 0..20 {
        *counts.entry(order.recv().await.unwrap()).or_default() += 1;
    }
    assert!(counts.len() == 2 && counts.values().all(|count| *count >= 5), "{counts:?}");
    worker.stop(Duration::from_secs(5)).await;
}
