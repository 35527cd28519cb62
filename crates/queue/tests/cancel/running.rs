//! Cancelling jobs that run: on our workers, by hand, and on BullMQ's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use operator_core::{Failure, JobOptions, JobState, JobStatus, Json};
use operator_queue::worker::{ClaimedJob, Consumer, WorkerOptions};
use operator_queue::{CancelOptions, CancelStage, QueueError, Refusal};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use serde_json::json;
use tokio::sync::Notify;

use crate::rig::{Rig, job, options, with, worker_of};
use crate::{finished, status, until_active};

/// A lock that is not renewed while a test runs: whatever the worker hears of, it was told.
fn patient(rig: &Rig, concurrency: usize) -> WorkerOptions {
    let long = Duration::from_secs(600);
    WorkerOptions { lock_duration: long, stalled_interval: long, ..options(&rig.queue, concurrency) }
}

async fn cancel(rig: &Rig, id: &str) -> Result<CancelStage, QueueError> {
    rig.queue.cancel(id, "enough", CancelOptions::default()).await.map(|done| done.stage)
}

/// The connection on which a worker listens for cancellations.
async fn listener(rig: &Rig) -> String {
    eventually("a listener", async || {
        let clients = rig.raw.call(&["CLIENT", "LIST"]).await.text().to_owned();
        let line = clients.lines().find(|line| line.contains("operator:notices") && line.contains("cmd=bzpopmin"))?;
        Some(line.split(' ').next()?.trim_start_matches("id=").to_owned())
    })
    .await
}

fn tries(attempts: u32) -> JobOptions {
    JobOptions { attempts, ..JobOptions::default() }
}

#[tokio::test]
async fn a_running_job_is_told_and_never_tried_again() {
    let rig = Rig::start().await;
    let worker = worker_of(&rig.config, patient(&rig, 1), async |claimed: ClaimedJob| {
        claimed.cancelled.cancelled().await;
        Err(Failure::retryable(format!("stopped: {:?}", claimed.watch.cause())))
    })
    .await;
    rig.queue.add(with("wait", "a", tries(5))).await.unwrap();
    until_active(&rig.queue, "a").await;
    assert_eq!(cancel(&rig, "a").await.unwrap(), CancelStage::Stopping);
    let (job, state) = finished(&rig.queue, "a").await;
    assert_eq!((state, job.status(state)), (JobState::Failed, JobStatus::Cancelled));
    assert_eq!((job.failed_reason.as_deref(), job.attempts_made), (Some("cancelled: enough"), 1));
    let ends = rig.events().await.into_iter().filter(|event| event.starts_with("failed") || event.contains("retries"));
    assert_eq!(ends.collect::<Vec<_>>(), ["failed a"]);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_does_not_listen_is_dropped_after_the_grace() {
    let rig = Rig::start().await;
    let options = WorkerOptions { cancel_grace: Duration::from_millis(50), ..patient(&rig, 1) };
    let worker = rig.worker_with(options).await;
    rig.queue.add(job("hang", "a")).await.unwrap();
    until_active(&rig.queue, "a").await;
    cancel(&rig, "a").await.unwrap();
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Cancelled);
    worker.status().idle().await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_blocks_its_thread_is_ended_without_it() {
    let rig = Rig::start().await;
    let options = WorkerOptions { cancel_grace: Duration::from_millis(50), ..options(&rig.queue, 1) };
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let worker = worker_of(&rig.config, options, move |_| {
        let released = Arc::clone(&released);
        async move {
            let _ = released.lock().unwrap().recv();
            Ok(Json::null())
        }
    })
    .await;
    rig.queue.add(job("block", "a")).await.unwrap();
    until_active(&rig.queue, "a").await;
    cancel(&rig, "a").await.unwrap();
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Cancelled);
    drop(release);
    worker.status().idle().await;
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Cancelled, "what it still did has no effect");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_cancellation_whose_notice_is_lost_is_found_by_the_renewal() {
    let rig = Rig::start().await;
    let worker =
        rig.worker_with(WorkerOptions { cancel_grace: Duration::from_millis(50), ..options(&rig.queue, 1) }).await;
    rig.queue.add(job("hang", "a")).await.unwrap();
    until_active(&rig.queue, "a").await;
    // What the script writes, but for the notice; and nobody to hear one.
    let id = listener(&rig).await;
    rig.raw.call(&["CLIENT", "KILL", "ID", &id]).await;
    rig.raw.call(&["SET", "bull:q:operator:cancelling", "1", "PX", "60000"]).await;
    rig.raw.call(&["HSET", "bull:q:a", "operator:cancel", "cancelled: x", "defa", "cancelled: x"]).await;
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Cancelled);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_worker_whose_connection_broke_listens_again() {
    let rig = Rig::start().await;
    let worker = rig.worker_with(WorkerOptions { cancel_grace: Duration::from_millis(50), ..patient(&rig, 1) }).await;
    let first = listener(&rig).await;
    rig.raw.call(&["CLIENT", "KILL", "ID", &first]).await;
    eventually("another listener", async || (listener(&rig).await != first).then_some(())).await;
    rig.queue.add(job("hang", "a")).await.unwrap();
    until_active(&rig.queue, "a").await;
    cancel(&rig, "a").await.unwrap();
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Cancelled);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_cancellation_and_a_completion_at_once_leave_one_end() {
    const JOBS: usize = 1000;
    const AT_ONCE: usize = 100;
    let rig = Rig::start().await;
    let ends: Arc<HashMap<String, Notify>> = Arc::new((0..JOBS).map(|n| (format!("j{n}"), Notify::new())).collect());
    let of_jobs = Arc::clone(&ends);
    let worker = worker_of(&rig.config, options(&rig.queue, AT_ONCE), move |claimed: ClaimedJob| {
        let ends = Arc::clone(&of_jobs);
        async move {
            tokio::select! {
                () = ends[claimed.job.id.as_str()].notified() => {}
                () = claimed.cancelled.cancelled() => {}
            }
            // Whether or not it was told.
            Ok(Json::null())
        }
    })
    .await;
    let ids: Vec<String> = (0..JOBS).map(|number| format!("j{number}")).collect();
    let mut told: HashMap<&String, JobStatus> = HashMap::new();
    for wave in ids.chunks(AT_ONCE) {
        rig.queue.add_bulk(wave.iter().map(|id| with("race", id, tries(3))).collect()).await.unwrap();
        rig.until(JobState::Active, AT_ONCE as u64).await;
        let races = wave.iter().map(|id| async {
            let pause = || tokio::time::sleep(Duration::from_millis(rand::random_range(0..6)));
            let finish = async {
                pause().await;
                ends[id].notify_one();
            };
            let stop = async {
                pause().await;
                match cancel(&rig, id).await {
                    Ok(_) => JobStatus::Cancelled,
                    Err(QueueError::Refused { refusal: Refusal::WrongState, .. }) => JobStatus::Completed,
                    Err(error) => panic!("{error}"),
                }
            };
            tokio::join!(finish, stop).1
        });
        told.extend(wave.iter().zip(join_all(races).await));
        rig.until(JobState::Active, 0).await;
    }
    for id in &ids {
        assert_eq!(status(&rig.queue, id).await, told[id], "{id} is what the canceller was told");
    }
    let mut written: HashMap<String, usize> = HashMap::new();
    let mut starts = 0;
    for event in rig.events().await {
        let (name, id) = event.split_once(' ').unwrap_or((&event, ""));
        starts += usize::from(name == "active");
        if name == "completed" || name == "failed" {
            *written.entry(id.to_owned()).or_default() += 1;
        }
    }
    assert_eq!((written.len(), starts), (JOBS, JOBS), "each ran once");
    assert!(written.values().all(|count| *count == 1), "and ended once");
    let cancelled = told.values().filter(|status| **status == JobStatus::Cancelled).count();
    assert!(cancelled > 0 && cancelled < JOBS, "{cancelled} of {JOBS} were cancelled: there was a race");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_was_cancelled_while_its_worker_died_is_not_run_again() {
    let rig = Rig::start().await;
    rig.queue.add(with("echo", "a", tries(5))).await.unwrap();
    let hasty = WorkerOptions { lock_duration: Duration::from_millis(1), ..options(&rig.queue, 1) };
    let dead = Consumer::new(rig.queue.clone(), &hasty).claim().await.unwrap().job.unwrap();
    assert_eq!(cancel(&rig, "a").await.unwrap(), CancelStage::Marked);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let worker = worker_of(&rig.config, options(&rig.queue, 1), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(Json::null()) }
    })
    .await;
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Cancelled);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert!(dead.complete(Json::null()).await.is_err(), "a late finisher has no effect");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_is_held_by_hand_ends_as_cancelled_whatever_its_holder_says() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", "a"), with("echo", "b", tries(3)), job("echo", "c")]).await.unwrap();
    let consumer = Consumer::new(rig.queue.clone(), &patient(&rig, 1));
    for id in ["a", "b"] {
        let held = consumer.claim().await.unwrap().job.unwrap();
        assert_eq!(cancel(&rig, id).await.unwrap(), CancelStage::Marked);
        assert!(held.move_to_wait().await.is_err(), "it goes nowhere else");
        let answer = match id {
            "a" => held.complete(Json::null()).await,
            _ => held.fail_and_claim(&consumer, Failure::retryable("boom")).await.map(drop),
        };
        assert!(matches!(answer, Err(QueueError::Refused { refusal: Refusal::Cancelled, .. })), "{answer:?}");
        assert_eq!(status(&rig.queue, id).await, JobStatus::Cancelled);
    }
    assert_eq!(rig.queue.state("c").await.unwrap(), JobState::Waiting);
}

#[tokio::test]
async fn a_job_on_a_worker_of_bullmq_is_not_tried_again() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    rig.queue.add(with("fail", "a", tries(3))).await.unwrap();
    node.call("startWorker", json!({ "queue": "q", "processor": "hold" })).await;
    until_active(&rig.queue, "a").await;
    assert_eq!(cancel(&rig, "a").await.unwrap(), CancelStage::Marked);
    node.call("release", json!({ "jobId": "a", "error": "boom" })).await;
    let (job, state) = finished(&rig.queue, "a").await;
    assert_eq!((job.status(state), job.failed_reason.as_deref()), (JobStatus::Cancelled, Some("cancelled: enough")));
    let starts = rig.events().await.into_iter().filter(|event| event == "active a").count();
    assert_eq!(starts, 2, "BullMQ claimed it once more, only to fail it");
    assert_eq!(job.stacktrace.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_whose_jobs_block_every_thread_says_so_and_recovers() {
    let rig = Rig::start().await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let worker = worker_of(&rig.config, options(&rig.queue, 2), move |_| {
        let released = Arc::clone(&released);
        async move {
            let _ = released.lock().unwrap().recv();
            Ok(Json::null())
        }
    })
    .await;
    let (status, watched) = (worker.status(), worker.status());
    rig.queue.add(job("block", "a")).await.unwrap();
    // The one thread of the runtime is taken, so the test looks from one of its own.
    let seen = std::thread::spawn(move || {
        while watched.starved_for() == Duration::ZERO {
            std::thread::yield_now();
        }
        drop(release);
        while watched.starved_for() > Duration::ZERO {
            std::thread::yield_now();
        }
    });
    eventually("the worker to notice and to recover", async || seen.is_finished().then_some(())).await;
    assert_eq!(status.starved_for(), Duration::ZERO);
    assert_eq!(crate::status(&rig.queue, "a").await, JobStatus::Completed);
    worker.stop(Duration::ZERO).await;
}

/// Shown with `--nocapture`: how long it takes from the call until the job is told.
#[tokio::test]
#[ignore = "a measurement"]
async fn how_long_a_cancellation_takes() {
    let rig = Rig::start().await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let worker = worker_of(&rig.config, patient(&rig, 1), move |claimed: ClaimedJob| {
        let told = told.clone();
        async move {
            claimed.cancelled.cancelled().await;
            let _ = told.send(Instant::now());
            Ok(Json::null())
        }
    })
    .await;
    let mut times = Vec::new();
    for number in 0..200 {
        let id = format!("j{number}");
        rig.queue.add(job("wait", &id)).await.unwrap();
        until_active(&rig.queue, &id).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = Instant::now();
        cancel(&rig, &id).await.unwrap();
        times.push(heard.recv().await.unwrap() - asked);
        finished(&rig.queue, &id).await;
    }
    times.sort();
    println!("cancel to told: median {:?}, 99 of 100 within {:?}, at most {:?}", times[100], times[198], times[199]);
    worker.stop(Duration::ZERO).await;
}
