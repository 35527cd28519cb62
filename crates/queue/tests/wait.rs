//! Waiting for jobs to finish, in every order of finishing, leaving and asking.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

mod rig;

use std::time::Duration;

use futures::future::join_all;
use operator_core::{JobOptions, JobState, Keep};
use operator_queue::events::{Finished, WaitError};
use operator_queue::{Queue, Redis};
use operator_testkit::fault::Proxy;
use operator_testkit::node::{BullMq, NodePeer};
use operator_testkit::wait::eventually;
use rig::{Rig, job, with};
use serde_json::json;

/// More than any of these waits takes.
const LONG: Duration = Duration::from_secs(60);

fn unkept() -> JobOptions {
    let gone = Some(Keep::Nothing);
    JobOptions { remove_on_complete: gone, remove_on_fail: gone, ..JobOptions::default() }
}

fn completed(json: &str) -> Finished {
    Finished::Completed(operator_core::Json::parse(json).unwrap())
}

/// Waits for `id` in a task of its own, which is known to be listening when this returns.
async fn waiting(rig: &Rig, id: &str) -> tokio::task::JoinHandle<Result<Finished, WaitError>> {
    rig.raw.reset_stats().await;
    let (queue, id) = (rig.queue.clone(), id.to_owned());
    let waiting = tokio::spawn(async move { queue.wait_until_finished(&id, LONG).await });
    // Every look asks for the newest event: the first comes before subscribing, the second after it.
    let looks = async || rig.raw.command_stats().await.get("xrevrange").copied();
    eventually("the second look at the job", async || looks().await.filter(|looks| *looks >= 2).map(drop)).await;
    waiting
}

#[tokio::test]
async fn a_job_that_finished_before_is_not_waited_for() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", "kept"), job("fail", "bad")]).await.unwrap();
    rig.queue.add_bulk(vec![with("echo", "gone", unkept()), with("fail", "bad-gone", unkept())]).await.unwrap();
    let worker = rig.worker(4).await;
    rig.until(JobState::Waiting, 0).await;
    rig.until(JobState::Active, 0).await;
    for (id, end) in [
        ("kept", completed(r#"{"of":"kept"}"#)),
        ("bad", Finished::Failed("it failed".to_owned())),
        ("gone", completed(r#"{"of":"gone"}"#)),
        ("bad-gone", Finished::Failed("it failed".to_owned())),
    ] {
        assert_eq!(rig.queue.wait_until_finished(id, LONG).await.unwrap(), end, "{id}");
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_finishes_while_one_waits_tells_its_end() {
    let rig = Rig::start().await;
    for (id, name, opts, end) in [
        ("kept", "echo", JobOptions::default(), completed(r#"{"of":"kept"}"#)),
        ("gone", "echo", unkept(), completed(r#"{"of":"gone"}"#)),
        ("bad", "flaky", JobOptions { attempts: 2, ..JobOptions::default() }, completed(r#"{"of":"bad"}"#)),
        ("worse", "fail", JobOptions { attempts: 2, ..unkept() }, Finished::Failed("it failed".to_owned())),
    ] {
        rig.queue.add(with(name, id, opts)).await.unwrap();
        let waiting = waiting(&rig, id).await;
        let worker = rig.worker(1).await;
        assert_eq!(waiting.await.unwrap().unwrap(), end, "{id}");
        worker.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_job_that_leaves_or_was_never_there_is_told_apart() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let never = rig.queue.wait_until_finished("never", LONG).await;
    assert!(matches!(never, Err(WaitError::NotFound { ref id }) if id == "never"), "{never:?}");

    rig.queue.add_bulk(vec![job("echo", "a"), job("echo", "b")]).await.unwrap();
    let removed = waiting(&rig, "a").await;
    rig.queue.remove("a", operator_queue::RemoveOptions::default()).await.unwrap();
    assert!(matches!(removed.await.unwrap(), Err(WaitError::Removed { .. })));
    let before = rig.queue.wait_until_finished("a", LONG).await;
    assert!(matches!(before, Err(WaitError::Removed { .. })), "{before:?}");

    let cleaned = waiting(&rig, "b").await;
    peer.queue("q", "clean", json!([0, 1, "wait"])).await;
    assert!(matches!(cleaned.await.unwrap(), Err(WaitError::Removed { .. })));
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_over() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "slow")).await.unwrap();
    let late = rig.queue.wait_until_finished("slow", Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(late, WaitError::TimedOut { .. }));
    assert_eq!(
        late.to_string(),
        "job slow did not finish within 50 ms: wait longer, or see whether a worker serves its queue"
    );
}

#[tokio::test]
async fn two_hundred_share_one_subscription() {
    let rig = Rig::start().await;
    let opts = |n: usize| if n.is_multiple_of(2) { unkept() } else { JobOptions::default() };
    let name = |n: usize| if n.is_multiple_of(5) { "fail" } else { "echo" };
    let ids: Vec<_> = (0..200).map(|n| format!("j{n}")).collect();
    let jobs = ids.iter().enumerate().map(|(n, id)| with(name(n), id, opts(n)));
    rig.queue.add_bulk(jobs.collect()).await.unwrap();
    let waits = join_all(ids.iter().map(|id| rig.queue.wait_until_finished(id, LONG)));
    let meanwhile = async {
        let worker = rig.worker(20).await;
        rig.until(JobState::Active, 0).await;
        rig.until(JobState::Waiting, 0).await;
        let list = rig.raw.call(&["CLIENT", "LIST"]).await.text();
        assert!(list.matches(":qe ").count() <= 1, "{list}");
        worker.stop(Duration::ZERO).await;
    };
    let (ends, ()) = tokio::join!(waits, meanwhile);
    for (n, end) in ends.into_iter().enumerate() {
        let expected = match name(n) {
            "fail" => Finished::Failed("it failed".to_owned()),
            _ => completed(&format!(r#"{{"of":"j{n}"}}"#)),
        };
        assert_eq!(end.unwrap(), expected, "j{n}");
    }
}

#[tokio::test]
async fn a_job_that_finishes_just_then_is_never_missed() {
    let rig = Rig::start().await;
    let worker = rig.worker(10).await;
    for round in 0..40 {
        let run = async |n: usize| {
            let id = format!("r{round}-{n}");
            let opts = if n.is_multiple_of(2) { unkept() } else { JobOptions::default() };
            rig.queue.add(with("echo", &id, opts)).await.unwrap();
            let end = rig.queue.wait_until_finished(&id, LONG).await.unwrap();
            assert_eq!(end, completed(&format!(r#"{{"of":"{id}"}}"#)));
        };
        join_all((0..10).map(run)).await;
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_id_that_is_used_again_is_waited_for_in_its_new_life() {
    let rig = Rig::start().await;
    let worker = rig.worker(1).await;
    for round in 0..30 {
        let again = operator_core::NewJob::new("echo", json!(round));
        let job_id = Some(operator_core::JobId::from_wire("same"));
        rig.queue.add(again.with(JobOptions { job_id, ..unkept() })).await.unwrap();
        let end = rig.queue.wait_until_finished("same", LONG).await.unwrap();
        assert_eq!(end, completed(&round.to_string()));
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_result_that_the_events_lost_is_found_in_the_job() {
    let rig = Rig::start().await;
    let proxy = Proxy::to(rig.server.port()).await;
    let config = operator_queue::RedisConfig::new(rig.server.url_on(proxy.port()));
    let queue = Queue::new(&Redis::connect(&config).await.unwrap(), rig.queue.name().clone());
    rig.queue.add(job("echo", "a")).await.unwrap();
    rig.raw.reset_stats().await;
    let waiting = tokio::spawn(async move { queue.wait_until_finished("a", LONG).await });
    eventually("the look at the job", async || {
        let stats = rig.raw.command_stats().await;
        (stats.contains_key("xread") && stats.contains_key("xrevrange")).then_some(())
    })
    .await;
    proxy.refuse().await;
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
    rig.raw.call(&["XTRIM", "bull:q:events", "MAXLEN", "=", "0"]).await.ok();
    rig.queue.publish_event("later", &[], None).await.unwrap();
    proxy.heal();
    assert_eq!(waiting.await.unwrap().unwrap(), completed(r#"{"of":"a"}"#));
}

#[tokio::test]
async fn an_end_that_its_event_tells_badly_is_looked_up() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    let waiting = waiting(&rig, "a").await;
    rig.raw.call(&["LREM", "bull:q:wait", "0", "a"]).await.ok();
    rig.raw.call(&["HSET", "bull:q:a", "returnvalue", "half a res"]).await.ok();
    rig.raw.call(&["ZADD", "bull:q:completed", "1", "a"]).await.ok();
    let event = ["XADD", "bull:q:events", "*", "event", "completed", "jobId", "a", "returnvalue", "half a res"];
    rig.raw.call(&event).await.ok();
    assert_eq!(waiting.await.unwrap().unwrap(), completed(r#""half a res""#));
}

#[tokio::test]
async fn no_more_queues_are_watched_than_connections_are_meant_for_it() {
    let rig = Rig::start().await;
    let wait = |n: usize| {
        let queue = Queue::new(&rig.redis, format!("q{n}").try_into().unwrap());
        async move {
            queue.add(job("echo", "a")).await.unwrap();
            queue.wait_until_finished("a", Duration::from_secs(1)).await
        }
    };
    let ends = join_all((0..70).map(wait)).await;
    let too_many = ends.iter().filter(|end| matches!(end, Err(WaitError::TooMany { what: "queues", limit: 64 })));
    assert_eq!(too_many.count(), 6);
    assert_eq!(ends.iter().filter(|end| matches!(end, Err(WaitError::TimedOut { .. }))).count(), 64);
}

#[tokio::test]
async fn whoever_waits_for_jobs_that_are_not_there_takes_no_place_from_others() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "real")).await.unwrap();
    for number in 0..100 {
        let queue = Queue::new(&rig.redis, format!("made-up-{number}").try_into().unwrap());
        let end = queue.wait_until_finished("nobody", LONG).await;
        assert!(matches!(end, Err(WaitError::NotFound { .. })), "{end:?}");
    }
    let key = rig.queue.wait_until_finished("meta", LONG).await;
    assert!(matches!(key, Err(WaitError::NotFound { .. })), "{key:?}");
    let waiting = waiting(&rig, "real").await;
    let worker = rig.worker(1).await;
    assert_eq!(waiting.await.unwrap().unwrap(), completed(r#"{"of":"real"}"#));
    worker.stop(Duration::ZERO).await;
}
