//! BullMQ beside us on the same queues: it reads what we write, runs what we add, and adds what we run.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use operator_core::{
    Backoff, BackoffKind, Deduplication, FlowJob, JobOptions, JobState, Json, Keep, KeepLimits, Priority,
};
use operator_queue::worker::WorkerOptions;
use operator_queue::{FlowProducer, Queue, RemoveOptions, RetryOptions};
use operator_testkit::wait::eventually;
use operator_testkit::{BullMq, NodePeer};
use rig::{Rig, job, options, with};
use serde_json::{Value, json};

/// Options of every form, and what BullMQ makes of them.
fn options_of_every_form() -> Vec<(&'static str, JobOptions, Value)> {
    let limits = KeepLimits { count: Some(5), age_s: Some(60), limit: None };
    let jittered = Backoff { jitter: Some(0.5), ..Backoff::exponential(100) };
    let custom = Backoff { kind: BackoffKind::Custom("mine".to_owned()), ..Backoff::fixed(7) };
    let default = JobOptions::default;
    vec![
        ("plain", default(), json!({ "attempts": 0 })),
        ("tries", JobOptions { attempts: 3, ..default() }, json!({ "attempts": 3 })),
        (
            "fixed",
            JobOptions { backoff: Some(Backoff::fixed(5)), ..default() },
            json!({ "backoff": { "type": "fixed", "delay": 5 } }),
        ),
        (
            "jitter",
            JobOptions { backoff: Some(jittered), ..default() },
            json!({ "backoff": { "type": "exponential", "delay": 100, "jitter": 0.5 } }),
        ),
        (
            "custom",
            JobOptions { backoff: Some(custom), ..default() },
            json!({ "backoff": { "type": "mine", "delay": 7 } }),
        ),
        ("later", JobOptions { delay_ms: 600_000, ..default() }, json!({ "delay": 600_000 })),
        ("first", JobOptions { priority: Priority::new(3).unwrap(), ..default() }, json!({ "priority": 3 })),
        ("lifo", JobOptions { lifo: true, ..default() }, json!({ "lifo": true })),
        (
            "keep",
            JobOptions {
                remove_on_complete: Some(Keep::Nothing),
                remove_on_fail: Some(Keep::Limited(limits)),
                ..default()
            },
            json!({ "removeOnComplete": true, "removeOnFail": { "count": 5, "age": 60 } }),
        ),
        (
            "few",
            JobOptions { remove_on_complete: Some(Keep::count(9)), keep_logs: Some(4), ..default() },
            json!({ "removeOnComplete": 9, "keepLogs": 4 }),
        ),
        (
            "limits",
            JobOptions {
                size_limit: Some(1000),
                stack_trace_limit: Some(2),
                timestamp_ms: Some(1_700_000_000_000),
                ..default()
            },
            json!({ "sizeLimit": 1000, "stackTraceLimit": 2, "timestamp": 1_700_000_000_000_u64 }),
        ),
    ]
}

async fn reads_everything_we_write(release: BullMq) {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
    rig.queue.register().await.unwrap();
    let forms = options_of_every_form();
    rig.queue.add_bulk(forms.iter().map(|(id, opts, _)| with("echo", id, opts.clone())).collect()).await.unwrap();
    for (id, _, expected) in &forms {
        let read = peer.call("getJob", json!({ "queue": "q", "jobId": id })).await;
        assert_eq!((&read["name"], &read["data"]), (&json!("echo"), &json!({ "of": id })), "{read}");
        for (option, value) in expected.as_object().unwrap() {
            assert_eq!(&read["opts"][option], value, "{id}: {read}");
        }
        let state = peer.call("getJobState", json!({ "queue": "q", "jobId": id })).await;
        assert_eq!(state.as_str().unwrap(), rig.queue.state(id).await.unwrap().as_str());
    }
    let wanted = json!({ "queue": "q", "types": ["waiting", "delayed", "prioritized"] });
    let counts = peer.call("getJobCounts", wanted).await;
    assert_eq!(["waiting", "delayed", "prioritized"].map(|state| &counts[state]), [9, 1, 1], "{counts}");
    rig.queue.add_logs("plain", &["one".to_owned(), "two".to_owned()], None).await.unwrap();
    let logs =
        peer.call("getJobLogs", json!({ "queue": "q", "jobId": "plain", "start": 0, "end": -1, "asc": true })).await;
    assert_eq!(logs, json!({ "logs": ["one", "two"], "count": 2 }));
    let meta = peer.call("getMeta", json!({ "queue": "q" })).await;
    assert_eq!(meta["maxLenEvents"], 10_000, "{meta}");
}

#[tokio::test]
async fn bullmq_6_reads_everything_we_write() {
    reads_everything_we_write(BullMq::V6).await;
}

#[tokio::test]
async fn bullmq_5_reads_everything_we_write() {
    reads_everything_we_write(BullMq::V5).await;
}

/// Every getter of BullMQ's Queue that takes no arguments, with what it counts or lists in the queue below.
const GETTERS: [(&str, Option<u64>); 22] = [
    ("count", Some(2)),
    ("getActive", Some(1)),
    ("getActiveCount", Some(1)),
    ("getCompleted", Some(1)),
    ("getCompletedCount", Some(1)),
    ("getDelayed", Some(1)),
    ("getDelayedCount", Some(1)),
    ("getFailed", Some(1)),
    ("getFailedCount", Some(1)),
    ("getPrioritized", Some(1)),
    ("getPrioritizedCount", Some(1)),
    ("getWaiting", Some(0)),
    ("getWaitingCount", Some(0)),
    ("getWaitingChildren", Some(0)),
    ("getWaitingChildrenCount", Some(0)),
    ("getJobs", None),
    ("getJobCounts", None),
    ("getJobSchedulers", Some(0)),
    ("getWorkers", Some(1)),
    ("getWorkersCount", Some(1)),
    ("isPaused", None),
    ("getRateLimitTtl", None),
];

async fn answers_every_getter(release: BullMq) {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
    let worker = rig.worker(1).await;
    rig.queue.add_bulk(vec![job("echo", "done"), job("fail", "broke"), job("hang", "running")]).await.unwrap();
    rig.until(JobState::Active, 1).await;
    let priority = JobOptions { priority: Priority::new(5).unwrap(), ..JobOptions::default() };
    rig.queue.add(with("echo", "late", JobOptions { delay_ms: 600_000, ..JobOptions::default() })).await.unwrap();
    rig.queue.add(with("echo", "prior", priority)).await.unwrap();
    for (getter, expected) in GETTERS {
        let answer = peer.queue("q", getter, json!([])).await;
        let size = answer.as_array().map(|list| list.len() as u64).or_else(|| answer.as_u64());
        if expected.is_some() {
            assert_eq!(size, expected, "{getter}: {answer}");
        }
    }
    let all = peer.queue("q", "getJobs", json!([])).await;
    assert_eq!(all.as_array().unwrap().len(), 5, "{all}");
    let per_priority = peer.queue("q", "getCountsPerPriority", json!([[0, 5]])).await;
    assert_eq!(per_priority, json!({ "0": 0, "5": 1 }));
    let failed = peer.call("getJob", json!({ "queue": "q", "jobId": "broke" })).await;
    assert_eq!((&failed["failedReason"], &failed["attemptsMade"]), (&json!("it failed"), &json!(1)), "{failed}");
    assert_eq!(failed["stacktrace"], json!(["it failed\nsomewhere"]));
    let done = peer.call("getJob", json!({ "queue": "q", "jobId": "done" })).await;
    assert_eq!((&done["returnvalue"], &done["attemptsStarted"]), (&json!({ "of": "done" }), &json!(1)), "{done}");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn every_getter_of_bullmq_6_answers() {
    answers_every_getter(BullMq::V6).await;
}

#[tokio::test]
async fn every_getter_of_bullmq_5_answers() {
    answers_every_getter(BullMq::V5).await;
}

/// Runs jobs of every fate under the eyes of QueueEvents, which dies of an entry it cannot decode.
async fn hears_every_event_we_emit(release: BullMq) {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
    peer.call("startQueueEvents", json!({ "queue": "q" })).await;
    let tries = |attempts, backoff| JobOptions { attempts, backoff, ..JobOptions::default() };
    rig.queue.add(with("flaky", "flaky", tries(2, Some(Backoff::fixed(10))))).await.unwrap();
    rig.queue.add(with("fail", "fail", tries(2, None))).await.unwrap();
    rig.queue.add(with("echo", "late", JobOptions { delay_ms: 600_000, ..JobOptions::default() })).await.unwrap();
    rig.queue.add(job("echo", "late")).await.unwrap();
    rig.queue.promote("late").await.unwrap();
    rig.queue.update_progress("late", &json!({ "half": true }).into()).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 2).await;
    rig.until(JobState::Failed, 1).await;
    rig.queue.pause().await.unwrap();
    rig.queue.resume().await.unwrap();
    rig.queue.retry("fail", RetryOptions::default()).await.unwrap();
    rig.until(JobState::Failed, 1).await;
    the_rarer_events(&rig).await;
    rig.queue.remove("late", RemoveOptions::default()).await.unwrap();
    worker.stop(Duration::ZERO).await;
    let emitted: BTreeSet<_> =
        rig.events().await.iter().map(|event| event.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(emitted.iter().map(String::as_str).collect::<Vec<_>>(), EMITTED);
    // The listener reads in order: nothing comes after the last event.
    let mut heard = BTreeSet::new();
    while !heard.contains("removed") {
        let event = peer.event("the last event", |event| event["event"] == "queueEvents").await;
        heard.insert(event["type"].as_str().unwrap().to_owned());
    }
    let unheard: Vec<_> = EMITTED.into_iter().filter(|kind| !heard.contains(*kind)).collect();
    assert!(unheard.is_empty(), "{unheard:?} are not among {heard:?}");
}

/// Every event that our scripts write.
const EMITTED: [&str; 17] = [
    "active",
    "added",
    "cleaned",
    "completed",
    "deduplicated",
    "delayed",
    "drained",
    "duplicated",
    "failed",
    "paused",
    "progress",
    "removed",
    "resumed",
    "retries-exhausted",
    "stalled",
    "waiting",
    "waiting-children",
];

/// Has a job wait for a child, one stand for another, one lose its worker, and those that failed cleaned away.
async fn the_rarer_events(rig: &Rig) {
    let flow = |name: &str| FlowJob::new(rig.queue.name().clone(), name, Json::null());
    let tree = FlowJob { children: vec![flow("echo")], ..flow("echo") };
    FlowProducer::new(&rig.redis).add(&tree).await.unwrap();
    let later = JobOptions { delay_ms: 600_000, ..JobOptions::default() };
    let deduplication = Some(Deduplication { id: "d".to_owned(), ..Deduplication::default() });
    let alike = JobOptions { deduplication, ..later.clone() };
    rig.queue.add_bulk(vec![with("echo", "first", alike.clone()), with("echo", "second", alike)]).await.unwrap();
    rig.queue.add(with("echo", "lost", later)).await.unwrap();
    rig.raw.call(&["ZREM", "bull:q:delayed", "lost"]).await.ok();
    rig.raw.call(&["RPUSH", "bull:q:active", "lost"]).await.ok();
    eventually("the lost job to be run", async || {
        (rig.queue.state("lost").await.ok()? == JobState::Completed).then_some(())
    })
    .await;
    rig.queue.clean(Duration::ZERO, None, JobState::Failed, |_| ()).await.unwrap();
}

#[tokio::test]
async fn bullmq_6_hears_every_event_we_emit() {
    hears_every_event_we_emit(BullMq::V6).await;
}

#[tokio::test]
async fn bullmq_5_hears_every_event_we_emit() {
    hears_every_event_we_emit(BullMq::V5).await;
}

#[tokio::test]
async fn bullmq_lists_a_worker_on_each_of_its_queues() {
    let rig = Rig::start().await;
    let other = Queue::new(&rig.redis, operator_core::QueueName::new("other").unwrap());
    let both = WorkerOptions {
        queues: vec![rig.queue.name().clone(), other.name().clone()],
        name: Some("ours".to_owned()),
        ..options(&rig.queue, 1)
    };
    let worker = rig.worker_with(both).await;
    for release in [BullMq::V6, BullMq::V5] {
        let peer = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
        for queue in ["q", "other"] {
            eventually(&format!("BullMQ to list us on {queue}"), async || {
                let workers = peer.call("getWorkers", json!({ "queue": queue })).await;
                (workers.as_array()?.len() == 1 && workers[0]["rawname"].as_str()?.ends_with(":w:ours")).then_some(())
            })
            .await;
        }
    }
    assert_eq!(rig.queue.workers().await.unwrap()[0].name.as_deref(), Some("ours"));
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn bullmq_lists_a_worker_that_has_no_free_slot() {
    let rig = Rig::start().await;
    rig.queue.add(job("hang", "a")).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Active, 1).await;
    let listed = || async { rig.queue.workers().await.ok()?.pop() };
    eventually("the busy worker to be listed", listed).await;
    let name = "bull:cQ==";
    let clients = rig.raw.call(&["CLIENT", "LIST"]).await.text();
    let line = clients.lines().find(|line| line.contains(&format!(" name={name} "))).unwrap();
    let id = line.split(' ').next().unwrap().strip_prefix("id=").unwrap().to_owned();
    rig.raw.call(&["CLIENT", "KILL", "ID", &id]).await.ok();
    eventually("the busy worker to be listed again", async || {
        let worker = listed().await?;
        (worker.name.is_none() && !rig.raw.call(&["CLIENT", "LIST"]).await.text().contains(&format!("id={id} ")))
            .then_some(())
    })
    .await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn jobs_of_every_kind_that_bullmq_adds_are_run() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let jobs = json!([
        { "name": "echo", "data": { "n": 1 } },
        { "name": "echo", "data": { "n": 2 }, "opts": { "delay": 50 } },
        { "name": "echo", "data": { "n": 3 }, "opts": { "priority": 5 } },
        { "name": "flaky", "data": {}, "opts": { "attempts": 3, "backoff": { "type": "exponential", "delay": 10, "jitter": 0.5 } } },
        { "name": "fail", "data": {}, "opts": { "attempts": 2, "removeOnFail": { "count": 3 } } },
        { "name": "echo", "data": {}, "opts": { "removeOnComplete": true, "jobId": "gone" } },
        { "name": "echo", "data": {}, "opts": { "deduplication": { "id": "once" } } },
    ]);
    peer.call("addBulk", json!({ "queue": "q", "jobs": jobs })).await;
    let worker = rig.worker(3).await;
    rig.until(JobState::Completed, 5).await;
    rig.until(JobState::Failed, 1).await;
    assert_eq!(rig.queue.counts().await.unwrap().unfinished(), 0);
    assert!(rig.queue.job("gone").await.unwrap().is_none());
    assert!(rig.raw.keys("bull:q:de:").await.is_empty(), "a deduplication id ends with its job");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_flow_of_bullmq_is_run_across_queues_and_its_parent_released_once() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let child = |name: &str, opts: Value| json!({ "name": name, "queueName": "children", "data": { "is": name }, "opts": opts });
    let tree = |id: &str, children: Value| {
        json!({ "flow": {
        "name": "echo", "queueName": "q", "data": { "id": id }, "opts": { "jobId": id }, "children": children,
    } })
    };
    let fine = json!([child("echo", json!({})), child("flaky", json!({ "attempts": 2 }))]);
    let failing = |policy: &str| json!([child("echo", json!({})), child("fail", json!({ policy: true }))]);
    peer.call("addFlow", tree("fine", fine)).await;
    peer.call("addFlow", tree("fails", failing("failParentOnFailure"))).await;
    peer.call("addFlow", tree("ignores", failing("ignoreDependencyOnFailure"))).await;
    peer.call("addFlow", tree("removes", failing("removeDependencyOnFailure"))).await;
    let children = operator_core::QueueName::new("children").unwrap();
    let both = WorkerOptions { queues: vec![rig.queue.name().clone(), children], ..options(&rig.queue, 4) };
    let worker = rig.worker_with(both).await;
    rig.until(JobState::Completed, 3).await;
    rig.until(JobState::Failed, 1).await;
    let fails = rig.queue.job("fails").await.unwrap().unwrap();
    assert!(fails.failed_reason.as_deref().is_some_and(|why| why.starts_with("child bull:children:")), "{fails:?}");
    assert_eq!(fails.attempts_started, 1, "the parent is claimed once, to be failed");
    let values = peer.job("q", "fine", "getChildrenValues", json!([])).await;
    assert_eq!(values.as_object().unwrap().len(), 2, "{values}");
    let ignored = peer.job("q", "ignores", "getIgnoredChildrenFailures", json!([])).await;
    assert_eq!(ignored.as_object().unwrap().len(), 1, "{ignored}");
    let released = rig.events().await.into_iter().filter(|event| event == "waiting fine").count();
    assert_eq!(released, 1);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn schedulers_of_bullmq_go_on_whoever_claims_their_jobs() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let upsert = async |id: &str, repeat: Value| {
        let template = json!({ "name": "echo", "data": { "by": id }, "opts": { "attempts": 2, "priority": 3 } });
        node.call(
            "upsertScheduler",
            json!({ "queue": "q", "schedulerId": id, "repeat": repeat, "template": template }),
        )
        .await;
    };
    let worker = rig.worker(2).await;
    upsert("thrice", json!({ "every": 200, "limit": 3 })).await;
    rig.until(JobState::Completed, 3).await;
    upsert("cron", json!({ "pattern": "* * * * * *", "tz": "Europe/Berlin" })).await;
    rig.until(JobState::Completed, 5).await;
    worker.stop(Duration::ZERO).await;
    let made = rig.raw.call(&["HMGET", "bull:q:repeat:thrice", "ic", "offset"]).await.texts();
    assert_eq!(made[0], "3", "the limit holds");
    // What we made, BullMQ goes on with.
    let done = rig.queue.counts().await.unwrap().of(JobState::Completed);
    node.call("startWorker", json!({ "queue": "q", "processor": "echo" })).await;
    rig.until(JobState::Completed, done + 2).await;
    let schedulers = node.queue("q", "getJobSchedulers", json!([])).await;
    assert_eq!(schedulers.as_array().unwrap().len(), 2, "{schedulers}");
}

#[tokio::test]
async fn our_workers_and_bullmqs_share_a_queue() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let five = NodePeer::bullmq(BullMq::V5, &rig.server.url(), "bull").await;
    let start = json!({ "queue": "q", "processor": "echo", "concurrency": 3 });
    node.call("startWorker", start.clone()).await;
    five.call("startWorker", start).await;
    let worker = rig.worker(3).await;
    for round in 0..10 {
        let ours = (0..30).map(|number| job("echo", &format!("o{round}n{number}"))).collect();
        rig.queue.add_bulk(ours).await.unwrap();
        let theirs: Vec<_> = (0..30)
            .map(|number| json!({ "name": "echo", "data": {}, "opts": { "jobId": format!("t{round}n{number}") } }))
            .collect();
        node.call("addBulk", json!({ "queue": "q", "jobs": theirs })).await;
    }
    rig.until(JobState::Completed, 600).await;
    let events = rig.events().await;
    let completed = events.iter().filter(|event| event.starts_with("completed")).count();
    let started = events.iter().filter(|event| event.starts_with("active")).count();
    assert_eq!((completed, started), (600, 600), "every job is started and completed once");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn sleepers_of_both_kinds_are_woken_by_both_kinds() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    // Longer than the test may take: only a marker can wake it in time.
    let patient = WorkerOptions { idle_wait: Duration::from_secs(300), ..options(&rig.queue, 1) };
    let worker = rig.worker_with(patient).await;
    for round in 0..5 {
        node.call("add", json!({ "queue": "q", "name": "echo", "data": {} })).await;
        rig.until(JobState::Completed, round * 2 + 1).await;
        rig.queue.add(job("echo", "")).await.unwrap();
        rig.until(JobState::Completed, round * 2 + 2).await;
    }
    worker.stop(Duration::ZERO).await;
    node.call("startWorker", json!({ "queue": "q", "processor": "echo", "drainDelay": 300 })).await;
    for round in 0..5 {
        rig.queue.add(job("echo", "")).await.unwrap();
        rig.until(JobState::Completed, 11 + round).await;
    }
}

#[tokio::test]
async fn limits_that_bullmq_sets_hold_for_our_workers() {
    let rig = Rig::start().await;
    let node = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    // A maximum without a duration limits nothing, and must not break a claim that has begun to write.
    rig.raw.call(&["HSET", "bull:q:meta", "max", "5"]).await.ok();
    let worker = rig.worker(10).await;
    rig.queue.add_bulk(vec![job("echo", ""); 10]).await.unwrap();
    rig.until(JobState::Completed, 10).await;

    node.queue("q", "setGlobalRateLimit", json!([5, 300])).await;
    rig.queue.add_bulk((0..20).map(|number| job("echo", &format!("r{number}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 30).await;
    let mut started = Vec::new();
    for number in 0..20 {
        started.push(rig.queue.job(&format!("r{number}")).await.unwrap().unwrap().processed_ms.unwrap());
    }
    started.sort_unstable();
    // Each window opens when the one before has expired; the clock of the wire counts whole milliseconds.
    let since_first = |position: usize| started[position] - started[0];
    assert!(since_first(5) >= 290 && since_first(10) >= 590 && since_first(15) >= 890, "{started:?}");

    node.queue("q", "removeGlobalRateLimit", json!([])).await;
    node.queue("q", "setGlobalConcurrency", json!([1])).await;
    rig.queue.add_bulk((0..20).map(|number| job("echo", &format!("c{number}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 50).await;
    worker.stop(Duration::ZERO).await;
    let events = rig.events().await;
    let of_last =
        events.iter().filter(|event| ["active c", "completed c"].iter().any(|start| event.starts_with(start)));
    let words: Vec<_> = of_last.map(|event| event.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["active", "completed"].repeat(20), "one at a time");
}
