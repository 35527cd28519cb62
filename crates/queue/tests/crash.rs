//! Broken connections, restarted servers, dead and forgetful workers: what was accepted is run, and whoever lost a job
//! cannot touch it (I1 to I4).
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;

use std::time::Duration;

use operator_core::{JobOptions, JobState};
use operator_queue::worker::WorkerOptions;
use operator_queue::{Queue, Redis, RedisConfig};
use operator_testkit::fault::{Cut, Proxy};
use operator_testkit::redis::RedisServer;
use operator_testkit::wait::eventually;
use rig::{Rig, job, options, with};

/// A lock that no test outlives, so that only the way under test can bring a job back.
fn patient(rig: &Rig, concurrency: usize) -> WorkerOptions {
    WorkerOptions {
        lock_duration: Duration::from_secs(600),
        stalled_interval: Duration::from_secs(600),
        ..options(&rig.queue, concurrency)
    }
}

#[tokio::test]
async fn an_answer_lost_on_the_way_costs_no_job_and_no_attempt() {
    let rig = Rig::start().await;
    let proxy = Proxy::to(rig.server.port()).await;
    let config = RedisConfig::new(rig.server.url_on(proxy.port()));
    let worker = operator_queue::worker::Worker::start(&config, patient(&rig, 3), std::sync::Arc::new(rig::Script));
    let worker = worker.await.unwrap();
    for round in 0..5 {
        // Every settle call carries a job's outcome and claims the next: both are lost with the answer.
        proxy.lose_reply_to("operator:history");
        let jobs = (0..20).map(|number| job("echo", &format!("r{round}n{number}"))).collect();
        rig.queue.add_bulk(jobs).await.unwrap();
        rig.until(JobState::Completed, (round + 1) * 20).await;
    }
    for id in (0..5).flat_map(|round| (0..20).map(move |number| format!("r{round}n{number}"))) {
        let job = rig.queue.job(&id).await.unwrap().unwrap();
        assert_eq!((job.attempts_made, job.attempts_started, job.stalled), (1, 1, 0), "{id}");
    }
    let completed = rig.events().await.into_iter().filter(|event| event.starts_with("completed")).count();
    assert_eq!(completed, 100, "every job completes once");
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_add_whose_answer_was_lost_adds_once() {
    let rig = Rig::start().await;
    let proxy = Proxy::to(rig.server.port()).await;
    let redis = Redis::connect(&RedisConfig::new(rig.server.url_on(proxy.port()))).await.unwrap();
    let queue = Queue::new(&redis, rig.queue.name().clone());
    queue.add(job("echo", "")).await.unwrap();
    proxy.lose_reply_to("bull:q:prioritized");
    queue.add_bulk(vec![job("echo", ""); 10]).await.unwrap();
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 11);
}

#[tokio::test]
async fn connections_cut_at_random_lose_nothing() {
    let rig = Rig::start().await;
    let proxy = Proxy::to(rig.server.port()).await;
    let config = RedisConfig::new(rig.server.url_on(proxy.port()));
    let worker =
        operator_queue::worker::Worker::start(&config, options(&rig.queue, 8), std::sync::Arc::new(rig::Script));
    let worker = worker.await.unwrap();
    for round in 0..10 {
        let jobs = (0..50).map(|number| job("echo", &format!("r{round}n{number}"))).collect();
        rig.queue.add_bulk(jobs).await.unwrap();
        proxy.cut(if round % 2 == 0 { Cut::Reset } else { Cut::Close }).await;
    }
    rig.until(JobState::Completed, 500).await;
    let completed = rig.events().await.into_iter().filter(|event| event.starts_with("completed")).count();
    assert_eq!(completed, 500, "every job completes once");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_restarted_redis_is_found_again_and_has_everything() {
    let mut rig = Rig::on(RedisServer::builder().durable().start().await).await;
    let worker = rig.worker(4).await;
    let jobs = (0..300).map(|number| job("echo", &format!("n{number}"))).collect();
    rig.queue.add_bulk(jobs).await.unwrap();
    rig.server.restart().await;
    rig.until(JobState::Completed, 300).await;
    rig.raw.call(&["SCRIPT", "FLUSH"]).await.ok();
    rig.queue.add(job("echo", "after")).await.unwrap();
    rig.until(JobState::Completed, 301).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_of_a_dead_worker_returns_and_fails_when_it_returns_too_often() {
    let rig = Rig::start().await;
    // A worker that claims and dies leaves a job in active, without a lock once that has expired.
    let die_with = async |id: &str| {
        rig.raw.call(&["LMOVE", "bull:q:wait", "bull:q:active", "RIGHT", "LEFT"]).await.ok();
        assert_eq!(rig.queue.state(id).await.unwrap(), JobState::Active);
    };
    rig.queue.add(job("echo", "a")).await.unwrap();
    die_with("a").await;
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().stalled, 1);
    worker.stop(Duration::ZERO).await;

    rig.queue.pause().await.unwrap();
    rig.queue.add(job("echo", "b")).await.unwrap();
    die_with("b").await;
    rig.raw.call(&["HSET", "bull:q:b", "stc", "1"]).await.ok();
    let worker = rig.worker(1).await;
    rig.queue.resume().await.unwrap();
    rig.until(JobState::Failed, 1).await;
    let failed = rig.queue.job("b").await.unwrap().unwrap();
    assert_eq!(failed.failed_reason.as_deref(), Some("job stalled more than allowable limit"));
    assert_eq!((failed.attempts_made, failed.stalled, failed.deferred_failure), (1, 2, None));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_worker_that_lost_a_job_stops_it_and_cannot_settle_it() {
    let rig = Rig::start().await;
    rig.queue.add(job("hang", "a")).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Active, 1).await;
    rig.raw.call(&["SET", "bull:q:a:lock", "another worker", "PX", "600000"]).await.ok();
    let status = worker.status();
    eventually("the job to be stopped", async || (status.lost() == 1 && status.busy() == 0).then_some(())).await;
    worker.stop(Duration::ZERO).await;
    let job = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((rig.queue.state("a").await.unwrap(), job.attempts_made), (JobState::Active, 0));
    assert_eq!(rig.raw.call(&["GET", "bull:q:a:lock"]).await.text(), "another worker");
}

#[tokio::test]
async fn a_worker_that_stops_hands_back_what_it_cannot_finish() {
    let rig = Rig::start().await;
    let jobs = vec![job("hang", "a"), with("hang", "b", JobOptions { attempts: 3, ..JobOptions::default() })];
    rig.queue.add_bulk(jobs).await.unwrap();
    let worker = rig.worker(2).await;
    rig.until(JobState::Active, 2).await;
    let drained = worker.stop(Duration::from_millis(50)).await;
    assert_eq!((drained.handed_back, drained.settled, drained.left), (2, 0, 0));
    for id in ["a", "b"] {
        let job = rig.queue.job(id).await.unwrap().unwrap();
        assert_eq!((rig.queue.state(id).await.unwrap(), job.attempts_made, job.stalled), (JobState::Waiting, 0, 0));
        assert_eq!(rig.raw.call(&["EXISTS", &format!("bull:q:{id}:lock")]).await.int(), 0);
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_queue_does_not_stop_another() {
    let rig = Rig::start().await;
    let broken = Queue::new(&rig.redis, operator_core::QueueName::new("broken").unwrap());
    rig.raw.call(&["SET", "bull:broken:active", "not a list"]).await.ok();
    broken.add(job("echo", "x")).await.unwrap();
    let both =
        WorkerOptions { queues: vec![broken.name().clone(), rig.queue.name().clone()], ..options(&rig.queue, 2) };
    let worker = rig.worker_with(both).await;
    let jobs = (0..20).map(|number| job("echo", &format!("n{number}"))).collect();
    rig.queue.add_bulk(jobs).await.unwrap();
    rig.until(JobState::Completed, 20).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_hash_that_is_no_job_does_not_stop_the_queue() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", "ghost"), job("echo", "bad"), job("echo", "good")]).await.unwrap();
    rig.raw.call(&["DEL", "bull:q:ghost"]).await.ok();
    rig.raw.call(&["HSET", "bull:q:bad", "data", "{not json"]).await.ok();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    rig.until(JobState::Failed, 1).await;
    assert_eq!(rig.queue.counts().await.unwrap().unfinished(), 0);
    assert!(rig.raw.keys("bull:q:ghost").await.is_empty(), "a claim of a removed job leaves nothing behind");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_outcome_that_cannot_be_written_does_not_hold_up_the_others() {
    let rig = Rig::start().await;
    let mut jobs: Vec<_> = (0..20).map(|number| job("echo", &format!("n{number}"))).collect();
    jobs.insert(10, job("echo", "poison"));
    rig.queue.add_bulk(jobs).await.unwrap();
    // A set by contract; a text makes the script fail whenever it looks for the job's children.
    rig.raw.call(&["SET", "bull:q:poison:dependencies", "no set"]).await.ok();
    let worker = rig.worker(21).await;
    rig.until(JobState::Completed, 20).await;
    // Nobody can complete it, so it stalls until it fails.
    rig.until(JobState::Failed, 1).await;
    assert_eq!(rig.queue.state("poison").await.unwrap(), JobState::Failed);
    worker.stop(Duration::ZERO).await;
}

/// A handler that blocks its thread, as code that never awaits does.
struct Blocks(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl operator_queue::worker::Handler for Blocks {
    fn run(
        &self,
        _: operator_queue::worker::ClaimedJob,
    ) -> futures::future::BoxFuture<'static, Result<operator_core::Json, operator_core::Failure>> {
        // Blocks in the call itself, before there is a future to drop.
        let _ = self.0.lock().unwrap().recv();
        Box::pin(async { Ok(operator_core::Json::null()) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_blocks_its_thread_keeps_its_lock_and_is_handed_back_all_the_same() {
    let rig = Rig::start().await;
    let (release, blocked) = std::sync::mpsc::channel();
    let handler = std::sync::Arc::new(Blocks(std::sync::Mutex::new(blocked)));
    let worker = operator_queue::worker::Worker::start(&rig.config, options(&rig.queue, 1), handler).await.unwrap();
    rig.queue.add(job("block", "a")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    // Two renewals later than the lock would have lasted.
    let check = || async { rig.raw.call(&["PTTL", "bull:q:a:lock"]).await.int() };
    let renewals = async |count: u32| {
        for _ in 0..count {
            eventually("the lock to age", async || (check().await < 800).then_some(())).await;
            eventually("the lock to be renewed", async || (check().await > 800).then_some(())).await;
        }
    };
    renewals(6).await;
    assert_eq!(worker.status().lost(), 0);
    let drained = worker.stop(Duration::ZERO).await;
    assert_eq!((drained.handed_back, drained.left), (1, 0));
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Waiting);
    release.send(()).unwrap();
}

/// Finishes when the test says so.
struct Gate(std::sync::Arc<tokio::sync::Notify>);

impl operator_queue::worker::Handler for Gate {
    fn run(
        &self,
        claimed: operator_queue::worker::ClaimedJob,
    ) -> futures::future::BoxFuture<'static, Result<operator_core::Json, operator_core::Failure>> {
        let gate = std::sync::Arc::clone(&self.0);
        Box::pin(async move {
            gate.notified().await;
            Ok(claimed.job.data.clone())
        })
    }
}

#[tokio::test]
async fn a_late_finisher_is_refused_and_has_no_effect() {
    for theft in [&["SET", "bull:q:a:lock", "another worker"][..], &["DEL", "bull:q:a:lock"][..]] {
        let rig = Rig::start().await;
        rig.queue.add(job("echo", "a")).await.unwrap();
        let gate = std::sync::Arc::new(tokio::sync::Notify::new());
        let handler = std::sync::Arc::new(Gate(std::sync::Arc::clone(&gate)));
        let worker = operator_queue::worker::Worker::start(&rig.config, patient(&rig, 1), handler).await.unwrap();
        rig.until(JobState::Active, 1).await;
        rig.raw.call(theft).await.ok();
        let before = rig.raw.dump("bull:q:").await;
        gate.notify_one();
        let status = worker.status();
        eventually("the outcome to be refused", async || (status.lost() == 1).then_some(())).await;
        let after = rig.raw.dump("bull:q:").await;
        for key in ["bull:q:a", "bull:q:active", "bull:q:events"] {
            assert_eq!(before.get(key), after.get(key), "{key} after {theft:?}");
        }
        assert!(!after.contains_key("bull:q:completed"), "{theft:?}");
        worker.stop(Duration::ZERO).await;
    }
}
