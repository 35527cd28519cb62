//! Jobs that leave their attempt by their own wish: to later, back in line, behind their children (I2, I3, I6).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use operator_core::{Failure, JobId, JobOptions, JobState, Json, NewJob, ParentRef, QueueName};
use operator_queue::worker::{ClaimedJob, Worker, WorkerOptions};
use operator_queue::{Queue, QueueError, RedisConfig, Refusal};
use operator_testkit::fault::Proxy;
use operator_testkit::wait::eventually;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::journal::{journal, words};
use crate::rig::Function;
use crate::rig::{Rig, job, options, with};
use crate::{Gate, done, worker_of};

/// Moves itself in its first attempt as its name says, and is through in the next.
async fn move_once(claimed: ClaimedJob) -> Result<Json, Failure> {
    if claimed.job.attempts_started > 1 {
        return done();
    }
    match claimed.job.name.as_str() {
        "later" => claimed.hold.move_to_delayed(claimed.queue.now_ms() + 200).await?,
        "again" => claimed.hold.move_to_wait().await?,
        _ => return done(),
    }
    assert!(claimed.hold.has_moved());
    Err(Failure::moved())
}

#[tokio::test]
async fn a_job_moved_to_delayed_goes_on_when_it_is_due_in_an_attempt_that_did_not_count() {
    let rig = Rig::start().await;
    rig.queue.add(job("later", "a")).await.unwrap();
    let worker = worker_of(&rig.config, options(&rig.queue, 1), move_once).await;
    rig.until(JobState::Completed, 1).await;
    let journal = journal(&rig).await;
    assert_eq!(words(&journal, "a"), ["added", "waiting", "active", "delayed", "waiting", "active", "completed"]);
    let due: u64 = journal.iter().find(|entry| entry.event == "delayed").unwrap().fields["delay"].parse().unwrap();
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert!(job.processed_ms.unwrap() >= due);
    assert_eq!((job.attempts_made, job.attempts_started, job.delay_ms), (1, 2, 0));
    assert_eq!(job.failed_reason, None);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_delay_that_cannot_be_kept_in_order_is_refused_and_the_job_goes_on() {
    let rig = Rig::start().await;
    rig.queue.add(job("far", "a")).await.unwrap();
    let worker = worker_of(&rig.config, options(&rig.queue, 1), |claimed| async move {
        let error = claimed.hold.move_to_delayed(u64::MAX).await.unwrap_err();
        assert!(matches!(error, QueueError::InvalidOptions(_)), "{error}");
        done()
    });
    let worker = worker.await;
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_moved_to_wait_is_first_of_its_kind() {
    let rig = Rig::start().await;
    let urgent = JobOptions { priority: operator_core::Priority::new(5).unwrap(), ..JobOptions::default() };
    let jobs = [("again", "a"), ("echo", "b")].map(|(name, id)| job(name, id));
    let prioritized = [("again", "p"), ("echo", "q")].map(|(name, id)| with(name, id, urgent.clone()));
    rig.queue.add_bulk(jobs.into_iter().chain(prioritized).collect()).await.unwrap();
    let worker = worker_of(&rig.config, options(&rig.queue, 1), move_once).await;
    rig.until(JobState::Completed, 4).await;
    let journal = journal(&rig).await;
    let started: Vec<_> =
        journal.iter().filter(|entry| entry.event == "active").map(|entry| entry.job.as_str()).collect();
    assert_eq!(started, ["a", "a", "b", "p", "p", "q"]);
    let moved = journal.iter().find(|entry| entry.event == "waiting" && entry.fields.contains_key("prev")).unwrap();
    assert_eq!((moved.job.as_str(), moved.fields["prev"].as_str()), ("a", "active"));
    worker.stop(Duration::ZERO).await;
}

/// Where it is in its work is part of a job's data, as BullMQ documents it: the first attempt adds children and waits,
/// the second adds up what they returned.
async fn step_by_step(claimed: ClaimedJob) -> Result<Json, Failure> {
    let id = claimed.job.id.as_str();
    if claimed.job.name == "child" {
        return Ok(claimed.job.data.clone());
    }
    let mut step: serde_json::Value = claimed.job.data.decode()?;
    if step["step"] == "begin" {
        let queue = "bull:q".to_owned();
        for number in [20, 22] {
            let parent = Some(ParentRef { id: claimed.job.id.clone(), queue: queue.clone() });
            let job_id = Some(JobId::from_wire(format!("{id}-{number}")));
            let child =
                NewJob::new("child", json!(number)).with(JobOptions { parent, job_id, ..JobOptions::default() });
            claimed.queue.add(child).await?;
        }
        step["step"] = json!("sum");
        claimed.queue.update_data(id, &step.into()).await?;
    }
    if claimed.hold.move_to_waiting_children(None).await? {
        return Err(Failure::moved());
    }
    Ok(json!({ "through": true }).into())
}

#[tokio::test]
async fn a_job_adds_children_waits_for_them_and_goes_on() {
    let rig = Rig::start().await;
    rig.queue.add(NewJob::new("parent", json!({ "step": "begin" })).with(id("a"))).await.unwrap();
    let worker = worker_of(&rig.config, options(&rig.queue, 1), step_by_step).await;
    rig.until(JobState::Completed, 3).await;
    let all = journal(&rig).await;
    assert_eq!(
        words(&all, "a"),
        ["added", "waiting", "active", "waiting-children", "waiting", "active", "completed"],
        "released once"
    );
    let parked = all.iter().find(|entry| entry.event == "waiting-children").unwrap();
    assert_eq!(parked.fields["prev"], "active");
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((job.attempts_made, job.attempts_started), (1, 2));
    assert_eq!(job.data.as_str(), r#"{"step":"sum"}"#);
    assert_eq!(rig.raw.call(&["HGETALL", "bull:q:a:processed"]).await.map()["bull:q:a-22"], "22");
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::ZERO).await;
}

fn id(id: &str) -> JobOptions {
    JobOptions { job_id: Some(JobId::from_wire(id)), ..JobOptions::default() }
}

fn child_of(parent: &str, child: &str) -> NewJob {
    let parent = Some(ParentRef { id: JobId::from_wire(parent), queue: "bull:q".to_owned() });
    NewJob::new("child", json!(1)).with(JobOptions { parent, fail_parent_on_failure: true, ..id(child) })
}

#[tokio::test]
async fn a_job_can_wait_for_one_of_its_children_and_not_for_a_stranger() {
    let rig = Rig::start().await;
    let other = Queue::new(&rig.redis, QueueName::new("other").unwrap());
    rig.queue.add(job("parent", "a")).await.unwrap();
    let children = other.clone();
    let worker = worker_of(&rig.config, options(&rig.queue, 1), move |claimed| {
        let children = children.clone();
        async move {
            let hold = &claimed.hold;
            assert!(!hold.move_to_waiting_children(None).await?, "without children there is nothing to wait for");
            if claimed.job.attempts_started == 1 {
                children.add(child_of("a", "slow")).await?;
            }
            assert!(!hold.move_to_waiting_children(Some("bull:other:stranger")).await?);
            if hold.move_to_waiting_children(Some("bull:other:slow")).await? {
                return Err(Failure::moved());
            }
            done()
        }
    })
    .await;
    rig.until(JobState::WaitingChildren, 1).await;
    let children = worker_of(&rig.config, options(&other, 1), |_| async { done() }).await;
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
    children.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_whose_child_failed_cannot_wait_and_fails() {
    let rig = Rig::start().await;
    let other = Queue::new(&rig.redis, QueueName::new("other").unwrap());
    let failing = worker_of(&rig.config, options(&other, 1), |_| async { Err(Failure::unrecoverable("no")) }).await;
    rig.queue.add(with("parent", "a", JobOptions { attempts: 5, ..JobOptions::default() })).await.unwrap();
    let gate = Gate::closed();
    let (children, passed) = (other.clone(), gate.clone());
    let worker = worker_of(&rig.config, options(&rig.queue, 1), move |claimed| {
        let (children, gate) = (children.clone(), passed.clone());
        async move {
            children.add(child_of("a", "bad")).await?;
            gate.pass().await;
            match claimed.hold.move_to_waiting_children(None).await {
                Err(QueueError::Refused { refusal: Refusal::FailedChildren, .. }) => {
                    Err(Failure::unrecoverable("a child failed"))
                }
                _ => done(),
            }
        }
    })
    .await;
    eventually("the child to fail", async || (other.state("bad").await.ok()? == JobState::Failed).then_some(())).await;
    gate.let_through(1);
    rig.until(JobState::Failed, 1).await;
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((job.failed_reason.as_deref(), job.attempts_made), (Some("a child failed"), 1));
    worker.stop(Duration::ZERO).await;
    failing.stop(Duration::ZERO).await;
}

/// Waits until the lock of `id` has been renewed `count` times.
async fn renewals(rig: &Rig, id: &str, count: u32) {
    let lock = format!("bull:q:{id}:lock");
    for _ in 0..count {
        for fresh in [false, true] {
            eventually("the lock to age and to be renewed", async || {
                ((rig.raw.call(&["PTTL", &lock]).await.int() > 900) == fresh).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_job_that_works_on_after_it_moved_is_neither_cancelled_nor_lost() {
    let rig = Rig::start().await;
    let (gate, cancelled) = (Gate::closed(), CancellationToken::new());
    let (passed, seen) = (gate.clone(), cancelled.clone());
    let worker = worker_of(&rig.config, options(&rig.queue, 2), move |claimed| {
        let (gate, seen) = (passed.clone(), seen.clone());
        async move {
            if claimed.job.name == "hang" {
                std::future::pending::<()>().await;
            }
            claimed.hold.move_to_delayed(claimed.queue.now_ms() + 600_000).await?;
            tokio::select! {
                () = gate.pass() => {}
                () = claimed.cancelled.cancelled() => seen.cancel(),
            }
            Err(Failure::moved())
        }
    })
    .await;
    rig.queue.add_bulk(vec![job("move", "a"), job("hang", "b")]).await.unwrap();
    rig.until(JobState::Delayed, 1).await;
    renewals(&rig, "b", 5).await;
    let status = worker.status();
    assert_eq!((status.busy(), status.lost(), cancelled.is_cancelled()), (2, 0, false));
    gate.let_through(1);
    eventually("the moved job to end", async || (status.busy() == 1).then_some(())).await;
    let drained = worker.stop(Duration::ZERO).await;
    assert_eq!((drained.handed_back, drained.left, drained.settled), (1, 0, 0), "only `b` was still held");
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Delayed);
}

#[tokio::test]
async fn what_a_moved_attempt_returns_has_no_effect_on_the_next() {
    let rig = Rig::start().await;
    let gate = Gate::closed();
    let passed = gate.clone();
    let worker = worker_of(&rig.config, options(&rig.queue, 2), move |claimed| {
        let gate = passed.clone();
        async move {
            if claimed.job.attempts_started > 1 {
                return Ok(json!("second").into());
            }
            claimed.hold.move_to_wait().await?;
            gate.pass().await;
            Ok(json!("first").into())
        }
    })
    .await;
    rig.queue.add(job("twice", "a")).await.unwrap();
    rig.until(JobState::Completed, 1).await;
    gate.let_through(1);
    let status = worker.status();
    eventually("the first attempt to end", async || (status.busy() == 0).then_some(())).await;
    worker.stop(Duration::from_secs(5)).await;
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!(job.return_value.unwrap().as_str(), r#""second""#);
    assert_eq!((job.attempts_made, status.lost()), (1, 0));
}

#[tokio::test]
async fn a_move_whose_answer_was_lost_happens_once() {
    let rig = Rig::start().await;
    let proxy = Arc::new(Proxy::to(rig.server.port()).await);
    let config = RedisConfig::new(rig.server.url_on(proxy.port()));
    let cut = Arc::clone(&proxy);
    let run = move |claimed: ClaimedJob| {
        let cut = Arc::clone(&cut);
        async move {
            if claimed.job.attempts_started == 1 {
                cut.lose_reply_to("operator:history");
            }
            move_once(claimed).await
        }
    };
    rig.queue.add_bulk(vec![job("later", "a"), job("again", "b")]).await.unwrap();
    let patient = WorkerOptions { lock_duration: Duration::from_secs(600), ..options(&rig.queue, 1) };
    let worker = Worker::start(&config, patient, Arc::new(Function(run))).await.unwrap();
    rig.until(JobState::Completed, 2).await;
    for id in ["a", "b"] {
        let job = rig.queue.job(id).await.unwrap().unwrap();
        assert_eq!((job.attempts_made, job.attempts_started, job.stalled), (1, 2, 0), "{id}");
    }
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_stopped_on_its_way_out_is_not_left_in_active() {
    let rig = Rig::start().await;
    let proxy = Arc::new(Proxy::to(rig.server.port()).await);
    let config = RedisConfig::new(rig.server.url_on(proxy.port()));
    let (begun, cut) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&proxy));
    let count = Arc::clone(&begun);
    let run = move |claimed: ClaimedJob| {
        let (count, cut) = (Arc::clone(&count), Arc::clone(&cut));
        async move {
            // No answer until the test heals the connection: the job is stopped while it waits for one.
            cut.stall();
            count.fetch_add(1, Ordering::SeqCst);
            claimed.hold.move_to_wait().await?;
            Err(Failure::moved())
        }
    };
    rig.queue.add(job("leave", "a")).await.unwrap();
    let patient = WorkerOptions { lock_duration: Duration::from_secs(600), ..options(&rig.queue, 1) };
    let worker = Worker::start(&config, patient, Arc::new(Function(run))).await.unwrap();
    eventually("the job to be on its way", async || (begun.load(Ordering::SeqCst) == 1).then_some(())).await;
    let status = worker.status();
    let stop = tokio::spawn(worker.stop(Duration::ZERO));
    eventually("the job to be stopped", async || (status.busy() == 0).then_some(())).await;
    proxy.heal();
    let drained = stop.await.unwrap();
    assert_eq!((drained.left, status.lost()), (0, 0));
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Waiting);
    assert_eq!(rig.raw.call(&["EXISTS", "bull:q:a:lock"]).await.int(), 0);
}
