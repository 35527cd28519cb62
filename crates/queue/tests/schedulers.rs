//! Job schedulers beside BullMQ: after every step both have left the same in Redis, and each goes on where the other
//! stopped.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;
mod twins;

use std::time::Duration;

use operator_core::{JobState, Json, QueueName};
use operator_queue::worker::Consumer;
use operator_queue::{JobTemplate, Queue, QueueError, Range, Redis, Refusal, RepairOutcome, Repeat, Stopped};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use rig::{Rig, options};
use serde_json::{Value, json};
use twins::{NOW, Twins};

const ALL: Range = Range { first: 0, last: 99, ascending: true };

fn template(name: &str) -> JobTemplate {
    JobTemplate { name: Some(name.to_owned()), ..JobTemplate::default() }
}

#[tokio::test]
async fn an_interval_makes_what_bullmq_makes() {
    let mut twins = Twins::start().await;
    let plain = json!({});
    twins.upsert("s", json!({ "every": 60_000 }), plain.clone()).await;
    twins.at(NOW + 500).await;
    twins.upsert("s", json!({ "every": 60_000 }), json!({ "data": { "a": [] } })).await;
    twins.claim().await;
    twins.at(NOW + 900).await;
    twins.upsert("s", json!({ "every": 60_000 }), json!({ "name": "n", "opts": { "priority": 3 } })).await;
    twins.upsert("s", json!({ "every": 7_000 }), plain.clone()).await;
    twins.claim().await;
    twins.at(NOW + 100_000).await;
    for _ in 0..3 {
        twins.claim().await;
    }
    twins.upsert("s", json!({ "every": 5_000, "offset": 1_700 }), plain.clone()).await;
    twins.at(NOW + 100_900).await;
    twins.upsert("s", json!({ "every": 5_000, "offset": 1_700 }), plain.clone()).await;
    twins.at(NOW + 207_777).await;
    twins.claim().await;
    twins.claim().await;
    twins.upsert("late", json!({ "every": 5_000, "startDate": NOW + 250_000 }), plain.clone()).await;
    twins.upsert("past", json!({ "every": 5_000, "startDate": NOW }), plain.clone()).await;
    twins.upsert("zero", json!({ "every": 5_000, "offset": 0 }), plain).await;
    twins.at(NOW + 250_000).await;
    for _ in 0..4 {
        twins.claim().await;
    }
}

#[tokio::test]
async fn a_pattern_makes_what_bullmq_makes() {
    let mut twins = Twins::start().await;
    let (pattern, berlin) = ("*/5 * * * *", "Europe/Berlin");
    twins
        .upsert("p", json!({ "pattern": pattern, "tz": berlin, "offset": 9 }), json!({ "opts": { "lifo": true } }))
        .await;
    twins.upsert("p", json!({ "pattern": "0 9 * * *", "tz": berlin }), json!({ "data": { "x": "/" } })).await;
    twins.upsert("p", json!({ "pattern": "*/10 * * * * *" }), json!({})).await;
    twins.at(NOW + 25_123).await;
    twins.claim().await;
    twins.at(NOW + 26_000).await;
    twins.upsert("p", json!({ "pattern": pattern, "immediately": true }), json!({ "opts": { "priority": 9 } })).await;
    twins.claim().await;
    twins.upsert("p", json!({ "every": 3_000 }), json!({})).await;
    twins.upsert("p", json!({ "pattern": pattern }), json!({})).await;
    let start =
        json!({ "pattern": "0 0 * * *", "startDate": "2024-01-01T12:00:00Z", "endDate": NOW + 90 * 86_400_000 });
    twins.upsert("dated", start, json!({})).await;
    let over = json!({ "pattern": "0 0 1 1 *", "endDate": NOW + 60_000 });
    assert_eq!(twins.upsert("over", over, json!({})).await, Value::Null);
}

#[tokio::test]
async fn a_schedule_ends_where_bullmqs_ends() {
    let mut twins = Twins::start().await;
    twins.upsert("few", json!({ "every": 1_000, "limit": 2 }), json!({})).await;
    twins.upsert("short", json!({ "every": 1_000, "endDate": NOW + 1_500 }), json!({})).await;
    twins.upsert("cron", json!({ "pattern": "* * * * * *", "endDate": NOW + 2_000, "limit": 9 }), json!({})).await;
    for step in 0..5 {
        twins.at(NOW + step * 1_000 + 10).await;
        for _ in 0..3 {
            twins.claim().await;
        }
    }
    assert_eq!(twins.ours.schedulers_count().await.unwrap(), 3, "they stay on record, as in BullMQ");
}

#[tokio::test]
async fn what_a_job_carries_goes_on_to_the_next() {
    let mut twins = Twins::start().await;
    let opts = json!({ "attempts": 3, "backoff": { "type": "exponential", "delay": 100, "jitter": 0.5 },
        "priority": 5, "removeOnComplete": { "count": 5, "age": 60 }, "keepLogs": 4, "stackTraceLimit": 0 });
    twins.upsert("s", json!({ "every": 1_000 }), json!({ "name": "n", "data": { "a": 1 }, "opts": opts })).await;
    twins.upsert("front", json!({ "every": 1_000, "offset": 7 }), json!({ "opts": { "lifo": true } })).await;
    for step in 1..4 {
        twins.at(NOW + step * 10_000).await;
        twins.claim().await;
        twins.claim().await;
    }
}

#[tokio::test]
async fn a_paused_or_full_queue_gets_its_jobs_without_a_marker() {
    let twins = Twins::start().await;
    twins.perform(json!({ "op": "pause", "queue": "q" })).await;
    twins.ours.pause().await.unwrap();
    twins.same("pause").await;
    twins.upsert("s", json!({ "every": 1_000 }), json!({})).await;
    twins.at(NOW + 5).await;
    twins.upsert("other", json!({ "every": 2_000 }), json!({ "opts": { "priority": 1 } })).await;
}

#[tokio::test]
async fn slots_that_are_taken_are_passed_over_and_then_refused() {
    let twins = Twins::start().await;
    for prefix in ["node", "ours"] {
        for step in 0..5 {
            let key = format!("{prefix}:q:repeat:s:{}", NOW + step * 1_000);
            twins.raw.call(&["HSET", &key, "name", "old"]).await.ok();
        }
    }
    twins.upsert("s", json!({ "every": 1_000 }), json!({})).await;
    for prefix in ["node", "ours"] {
        for step in 0..40 {
            let key = format!("{prefix}:q:repeat:t:{}", NOW + step * 1_000);
            twins.raw.call(&["HSET", &key, "name", "old"]).await.ok();
        }
        twins.raw.call(&["HSET", &format!("{prefix}:q:repeat:c:{}", NOW + 40_000), "name", "old"]).await.ok();
    }
    twins.upsert("t", json!({ "every": 1_000 }), json!({})).await;
    twins.upsert("c", json!({ "pattern": "* * * * *" }), json!({})).await;
}

#[tokio::test]
async fn what_is_removed_leaves_what_bullmq_leaves() {
    let twins = Twins::start().await;
    twins.upsert("now", json!({ "every": 1_000 }), json!({})).await;
    twins.upsert("later", json!({ "pattern": "0 0 * * *" }), json!({})).await;
    for (id, is_there) in [("later", true), ("now", true), ("now", false), ("nobody", false)] {
        let theirs = twins.perform(json!({ "op": "removeScheduler", "queue": "q", "scheduler": id })).await;
        let ours = twins.ours.remove_scheduler(id).await.unwrap();
        assert_eq!((theirs, ours), (json!({ "done": is_there }), is_there), "{id}");
        twins.same(id).await;
    }
}

#[tokio::test]
async fn a_job_in_the_parked_list_or_on_a_paused_queue_is_replaced_and_not_doubled() {
    let rig = Rig::start().await;
    rig.queue.pause().await.unwrap();
    let every = Repeat::every(600_000);
    let first = rig.queue.upsert_scheduler("s", &every, &template("a")).await.unwrap().unwrap();
    let second = rig.queue.upsert_scheduler("s", &every, &template("b")).await.unwrap().unwrap();
    assert_eq!(first, second);
    rig.raw.call(&["RENAME", "bull:q:wait", "bull:q:paused"]).await.ok();
    let third = rig.queue.upsert_scheduler("s", &every, &template("c")).await.unwrap().unwrap();
    assert_eq!(first.id, third.id);
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 1);
    assert_eq!(rig.queue.job(first.id.as_str()).await.unwrap().unwrap().name, "c");
}

#[tokio::test]
async fn each_reads_the_schedulers_of_the_other() {
    let rig = Rig::start().await;
    for release in [BullMq::V6, BullMq::V5] {
        let peer = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
        let repeat =
            json!({ "pattern": "0 9 * * 1-5", "tz": "Europe/Berlin", "limit": 7, "endDate": "2099-01-01T00:00:00Z" });
        let made = json!({ "name": "n", "data": { "a": 1 }, "opts": { "priority": 2, "keepLogs": 5 } });
        let request = json!({ "queue": "q", "schedulerId": "theirs", "repeat": repeat, "template": made });
        peer.call("upsertScheduler", request).await;
        let ours = serde_json::from_value(repeat).unwrap();
        rig.queue.upsert_scheduler("ours", &ours, &serde_json::from_value(made).unwrap()).await.unwrap();
        rig.queue.upsert_scheduler("soon", &Repeat::every(60_000), &template("x")).await.unwrap();
        for ascending in [true, false] {
            let theirs = peer.queue("q", "getJobSchedulers", json!([0, -1, ascending])).await;
            let ours = rig.queue.schedulers(Range { ascending, ..ALL }).await.unwrap();
            let ours: Vec<Value> = ours.iter().map(|scheduler| serde_json::to_value(scheduler).unwrap()).collect();
            assert_eq!(theirs, Value::Array(ours));
        }
        for id in ["ours", "theirs", "nobody"] {
            let theirs = peer.queue("q", "getJobScheduler", json!([id])).await;
            assert_eq!(theirs, serde_json::to_value(rig.queue.scheduler(id).await.unwrap()).unwrap());
        }
        assert_eq!(peer.queue("q", "getJobSchedulersCount", json!([])).await, 3);
        assert!(rig.queue.remove_scheduler("theirs").await.unwrap());
        assert_eq!(peer.queue("q", "removeJobScheduler", json!(["ours"])).await, true);
    }
}

#[tokio::test]
async fn listing_takes_nothing_away() {
    let rig = Rig::start().await;
    rig.queue.upsert_scheduler("s", &Repeat::every(60_000), &template("x")).await.unwrap();
    rig.raw.call(&["ZADD", "bull:q:repeat", "5", "ghost"]).await.ok();
    assert_eq!(rig.queue.schedulers(ALL).await.unwrap().len(), 1);
    assert_eq!(rig.queue.scheduler("ghost").await.unwrap(), None);
    assert_eq!(rig.queue.schedulers_count().await.unwrap(), 2);
    let repairs = rig.queue.repair_schedulers().await.unwrap();
    assert!(matches!(&repairs[..], [only] if only.id == "ghost" && matches!(only.outcome, RepairOutcome::Blocked(_))));
}

async fn goes_on_with_workers_of(release: BullMq) {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
    let repeat = Repeat { limit: Some(6), ..Repeat::every(50) };
    rig.queue.upsert_scheduler("ours", &repeat, &template("echo")).await.unwrap();
    let request = json!({ "queue": "q", "schedulerId": "theirs", "repeat": { "pattern": "* * * * * *", "limit": 3 } });
    peer.call("upsertScheduler", request).await;
    peer.call("startWorker", json!({ "queue": "q", "concurrency": 1 })).await;
    eventually("their worker to go on with both", async || {
        let made = async |id| rig.queue.scheduler(id).await.ok()??.iteration_count;
        (made("ours").await? >= 3 && made("theirs").await? >= 2).then_some(())
    })
    .await;
    let worker = rig.worker(1).await;
    peer.call("stopWorker", json!({ "worker": "q", "force": false })).await;
    rig.until(JobState::Completed, 9).await;
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.unfinished(), counts.of(JobState::Failed)), (0, 0));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn workers_of_bullmq_6_and_ours_keep_each_others_schedulers_going() {
    goes_on_with_workers_of(BullMq::V6).await;
}

#[tokio::test]
async fn workers_of_bullmq_5_and_ours_keep_each_others_schedulers_going() {
    goes_on_with_workers_of(BullMq::V5).await;
}

/// One pending job, and one hash for it.
async fn is_made_once(rig: &Rig, jobs: usize) {
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!(counts.unfinished(), jobs as u64);
    let hashes = rig.raw.keys("bull:q:repeat:boot:").await;
    assert_eq!(hashes.len(), jobs, "{hashes:?}");
    let scheduler = rig.queue.scheduler("boot").await.unwrap().unwrap();
    assert!(hashes.contains(&format!("bull:q:repeat:boot:{}", scheduler.next_ms.unwrap())), "{hashes:?}");
}

#[tokio::test]
async fn twenty_processes_that_upsert_at_once_make_one_job() {
    let rig = Rig::start().await;
    let mut queues = Vec::new();
    for _ in 0..20 {
        let redis = Redis::connect(&rig.config).await.unwrap();
        queues.push(Queue::new(&redis, QueueName::new("q").unwrap()));
    }
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let forms = [
        json!({ "every": 600_000 }),
        json!({ "every": 600_000, "offset": 5_000 }),
        json!({ "pattern": "0 4 * * *", "tz": "Europe/Berlin" }),
        json!({ "pattern": "0 4 * * *", "immediately": true }),
    ];
    for form in forms {
        let repeat: Repeat = serde_json::from_value(form.clone()).unwrap();
        let boot = template("boot");
        let ours = futures::future::join_all(queues.iter().map(|queue| queue.upsert_scheduler("boot", &repeat, &boot)));
        let request = json!({ "queue": "q", "schedulerId": "boot", "repeat": form, "template": { "name": "boot" } });
        let theirs = futures::future::join_all((0..20).map(|_| peer.call("upsertScheduler", request.clone())));
        let (ours, _) = futures::join!(ours, theirs);
        assert!(ours.iter().all(|made| matches!(made, Ok(Some(_)))), "{ours:?}");
        is_made_once(&rig, 1).await;
    }
}

#[tokio::test]
async fn upserts_while_workers_run_leave_one_pending_job() {
    let rig = Rig::start().await;
    let worker = rig.worker(4).await;
    let (repeat, plain) = (Repeat::every(20), JobTemplate::default());
    for _ in 0..100 {
        let upsert = || rig.queue.upsert_scheduler("boot", &repeat, &plain);
        let (first, second) = futures::join!(upsert(), upsert());
        assert!(first.unwrap().is_some() && second.unwrap().is_some());
    }
    worker.stop(Duration::from_secs(5)).await;
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.unfinished(), counts.of(JobState::Failed)), (1, 0));
}

#[tokio::test]
async fn advancing_twice_makes_one_job_and_a_removed_scheduler_none() {
    let rig = Rig::start().await;
    let made = rig.queue.upsert_scheduler("s", &Repeat::every(1_000), &template("x")).await.unwrap().unwrap();
    let job = rig.queue.job(made.id.as_str()).await.unwrap().unwrap();
    let next = rig.queue.advance_scheduler(&job).await.unwrap();
    assert!(next.is_some());
    assert_eq!(rig.queue.advance_scheduler(&job).await.unwrap(), None);
    let next = rig.queue.job(next.unwrap().as_str()).await.unwrap().unwrap();
    rig.queue.remove_scheduler("s").await.unwrap();
    assert_eq!(rig.queue.advance_scheduler(&next).await.unwrap(), None);
    assert_eq!(rig.raw.keys("bull:q:repeat").await.len(), 1, "only the first job is left");
}

#[tokio::test]
async fn a_worker_that_dies_between_claim_and_advance_is_made_up_for() {
    let rig = Rig::start().await;
    let made = rig.queue.upsert_scheduler("s", &Repeat::every(600_000), &template("echo")).await.unwrap().unwrap();
    // What a claim leaves of a worker that died at once: the job active, and no lock any more.
    rig.raw.call(&["RPOPLPUSH", "bull:q:wait", "bull:q:active"]).await.ok();
    assert_eq!(rig.queue.repair_schedulers().await.unwrap(), [], "stalled jobs come back by themselves");
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    assert_eq!(rig.queue.job(made.id.as_str()).await.unwrap().unwrap().stalled, 1);
    rig.until(JobState::Delayed, 1).await;
    assert_eq!(rig.queue.scheduler("s").await.unwrap().unwrap().iteration_count, Some(2));
    worker.stop(Duration::ZERO).await;
}

/// A scheduler whose pending job was made `Stopped`, repaired twenty times at once.
async fn is_repaired(repeat: Repeat, found: Stopped, count: u64) {
    let rig = Rig::start().await;
    let opts = serde_json::from_value(json!({ "attempts": 2 })).unwrap();
    let made = JobTemplate { data: Json::parse(r#"{"a":1}"#).unwrap(), opts, ..template("echo") };
    let pending = rig.queue.upsert_scheduler("s", &repeat, &made).await.unwrap().unwrap();
    let key = format!("bull:q:{}", pending.id);
    for list in ["bull:q:wait", "bull:q:delayed"] {
        rig.raw.call(&["DEL", list]).await.ok();
    }
    match found {
        Stopped::Missing => drop(rig.raw.call(&["DEL", &key]).await.ok()),
        Stopped::Lost => {}
        Stopped::Finished => drop(rig.raw.call(&["ZADD", "bull:q:completed", "5", pending.id.as_str()]).await.ok()),
    }
    let worker_free = rig.queue.clone();
    let repairs = futures::future::join_all((0..20).map(|_| worker_free.repair_schedulers())).await;
    let made: Vec<_> = repairs.into_iter().flat_map(Result::unwrap).collect();
    let [only] = &made[..] else { panic!("{made:?}") };
    let RepairOutcome::Made(id) = &only.outcome else { panic!("{only:?}") };
    assert_eq!((only.id.as_str(), only.found), ("s", found));
    let job = rig.queue.job(id.as_str()).await.unwrap().unwrap();
    assert_eq!((job.name.as_str(), job.data.as_str(), job.opts.attempts), ("echo", r#"{"a":1}"#, 2));
    let wire: Value = job.wire_opts.decode().unwrap();
    assert_eq!((&wire["repeat"]["count"], &wire["jobId"]), (&json!(count), &json!(id)));
    assert_eq!(job.scheduler_id.as_deref(), Some("s"));
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let read = peer.queue("q", "getJobScheduler", json!(["s"])).await;
    assert_eq!(read["iterationCount"], count);
    assert!(id.as_str().ends_with(&read["next"].to_string()), "{id} {read}");
    assert_eq!(rig.queue.repair_schedulers().await.unwrap(), []);
}

#[tokio::test]
async fn a_scheduler_whose_job_is_gone_goes_on() {
    is_repaired(Repeat::every(600_000), Stopped::Missing, 2).await;
    is_repaired(Repeat::cron("0 4 * * *"), Stopped::Missing, 1).await;
}

#[tokio::test]
async fn a_scheduler_whose_job_is_in_no_list_goes_on() {
    is_repaired(Repeat::cron("0 4 * * *").in_zone("Europe/Berlin"), Stopped::Lost, 1).await;
}

#[tokio::test]
async fn a_scheduler_whose_job_ended_without_a_next_one_goes_on() {
    is_repaired(Repeat::every(600_000), Stopped::Finished, 2).await;
    is_repaired(Repeat::cron("0 4 * * *"), Stopped::Finished, 2).await;
}

#[tokio::test]
async fn a_schedule_that_has_come_to_its_end_is_not_repaired() {
    let rig = Rig::start().await;
    let once = Repeat { limit: Some(1), ..Repeat::every(10) };
    rig.queue.upsert_scheduler("s", &once, &template("echo")).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    assert_eq!(rig.queue.repair_schedulers().await.unwrap(), []);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_before_anything_is_written() {
    let rig = Rig::start().await;
    let refused = async |id: &str, repeat: Value, made: Value| {
        let repeat = serde_json::from_value(repeat).unwrap();
        rig.queue.upsert_scheduler(id, &repeat, &serde_json::from_value(made).unwrap()).await.unwrap_err()
    };
    let every = json!({ "every": 1_000 });
    for id in ["", "a:b:::1000", "a:b:5:UTC:* * * * *"] {
        let error = refused(id, every.clone(), json!({})).await;
        assert!(matches!(error, QueueError::InvalidSchedule(_)), "{id}: {error}");
    }
    for repeat in [
        json!({}),
        json!({ "every": 0 }),
        json!({ "every": 5, "pattern": "* * * * *" }),
        json!({ "pattern": "0 0 31 2 *" }),
    ] {
        let error = refused("s", repeat, json!({})).await;
        assert!(matches!(error, QueueError::InvalidSchedule(_)), "{error}");
    }
    for opts in [json!({ "deduplication": { "id": "d" } }), json!({ "jobId": "x" }), json!({ "delay": 5 })] {
        let error = refused("s", every.clone(), json!({ "opts": opts })).await;
        assert!(matches!(error, QueueError::InvalidSchedule(_)), "{error}");
    }
    let error = refused("s", every.clone(), json!({ "data": [1, 2, 3], "opts": { "sizeLimit": 5 } })).await;
    assert!(matches!(error, QueueError::TooLarge { .. }), "{error}");
    assert!(rig.raw.keys("bull:").await.is_empty(), "nothing may have been written");
}

#[tokio::test]
async fn a_refused_pattern_keeps_the_job_it_has() {
    let rig = Rig::start().await;
    let pending = rig.queue.upsert_scheduler("s", &Repeat::every(600_000), &template("x")).await.unwrap().unwrap();
    let yearly = Repeat::cron("0 0 1 1 *");
    let taken = operator_core::schedule::next_cron("0 0 1 1 *", None, operator_queue::now_ms()).unwrap().unwrap();
    rig.raw.call(&["HSET", &format!("bull:q:repeat:s:{taken}"), "name", "old"]).await.ok();
    let error = rig.queue.upsert_scheduler("s", &yearly, &template("x")).await.unwrap_err();
    assert!(matches!(error, QueueError::Refused { refusal: Refusal::SchedulerJobExists, .. }), "{error}");
    assert_eq!(rig.queue.state(pending.id.as_str()).await.unwrap(), JobState::Waiting);
    assert_eq!(rig.queue.scheduler("s").await.unwrap().unwrap().repeat.every_ms, Some(600_000));
}

#[tokio::test]
async fn whoever_claims_by_hand_keeps_the_scheduler_going() {
    let rig = Rig::start().await;
    rig.queue.upsert_scheduler("s", &Repeat::every(600_000), &template("echo")).await.unwrap();
    let consumer = Consumer::new(rig.queue.clone(), &options(&rig.queue, 1));
    let held = consumer.claim().await.unwrap().job.unwrap();
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Delayed), 1);
    held.complete(Json::null()).await.unwrap();
}

#[tokio::test]
async fn a_job_that_must_fail_keeps_its_scheduler_going() {
    let rig = Rig::start().await;
    let made = rig.queue.upsert_scheduler("s", &Repeat::every(600_000), &template("echo")).await.unwrap().unwrap();
    rig.raw.call(&["HSET", &format!("bull:q:{}", made.id), "defa", "a child failed"]).await.ok();
    let worker = rig.worker(1).await;
    rig.until(JobState::Failed, 1).await;
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Delayed), 1);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_repeatable_job_of_bullmq_5_runs_and_goes_on() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V5, &rig.server.url(), "bull").await;
    let opts = json!({ "repeat": { "every": 600_000, "immediately": true } });
    peer.call("add", json!({ "queue": "q", "name": "old", "data": {}, "opts": opts })).await;
    assert_eq!(rig.queue.schedulers_count().await.unwrap(), 1);
    assert_eq!(rig.queue.repair_schedulers().await.unwrap(), []);
    let read = rig.queue.schedulers(ALL).await.unwrap();
    assert_eq!(read.iter().map(|scheduler| scheduler.iteration_count).collect::<Vec<_>>(), [None]);
    let slot = async || rig.raw.call(&["ZRANGE", "bull:q:repeat", "0", "-1", "WITHSCORES"]).await.texts()[1].clone();
    let first: u64 = slot().await.parse().unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    rig.until(JobState::Delayed, 1).await;
    worker.stop(Duration::ZERO).await;
    assert_eq!(slot().await.parse::<u64>().unwrap(), first + 600_000);
    assert_eq!(rig.queue.schedulers(ALL).await.unwrap().len(), 1);
}
