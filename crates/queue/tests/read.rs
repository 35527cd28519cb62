//! What a queue shows: every getter beside that of BullMQ in Node, on the same keys.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

mod rig;

use std::time::Duration;

use operator_core::{JobOptions, JobState, Priority};
use operator_queue::worker::{Worker, WorkerOptions};
use operator_queue::{Clock, MetricKind, Queue, QueueError, Range, Redis, RedisConfig, workers_of};
use operator_testkit::node::{BullMq, NodePeer};
use operator_testkit::redis::RedisServer;
use rig::{Rig, job, options, with};
use serde_json::json;

const ALL: Range = Range { first: 0, last: 99, ascending: true };

async fn peer(rig: &Rig, release: BullMq) -> NodePeer {
    NodePeer::bullmq(release, &rig.server.url(), "bull").await
}

fn delayed(ms: u64) -> JobOptions {
    JobOptions { delay_ms: ms, ..JobOptions::default() }
}

fn priority(number: u32) -> JobOptions {
    JobOptions { priority: Priority::new(number).unwrap(), ..JobOptions::default() }
}

/// Jobs in every state. The worker that holds the active ones is returned.
async fn fill(rig: &Rig, peer: &NodePeer) -> Worker {
    let finished = (0..5).map(|n| job("echo", &format!("ok{n}"))).chain((0..3).map(|n| job("fail", &format!("ko{n}"))));
    rig.queue.add_bulk(finished.collect()).await.unwrap();
    let worker = rig.worker(2).await;
    rig.until(JobState::Completed, 5).await;
    rig.until(JobState::Failed, 3).await;
    rig.queue.add_bulk(vec![job("hang", "run1"), job("hang", "run2")]).await.unwrap();
    rig.until(JobState::Active, 2).await;
    let mut jobs: Vec<_> = (0..7).map(|n| job("echo", &format!("w{n}"))).collect();
    jobs.extend((0..4).map(|n| with("echo", &format!("p{n}"), priority(4 - n / 2))));
    jobs.extend((0..4).map(|n| with("echo", &format!("d{n}"), delayed(100_000 * (1 + n / 2)))));
    jobs.push(with("echo", "lifo", JobOptions { lifo: true, ..JobOptions::default() }));
    rig.queue.add_bulk(jobs).await.unwrap();
    for parent in ["f1", "f2"] {
        let child = json!({ "name": "c", "queueName": "other", "data": {} });
        let flow = json!({ "name": "echo", "queueName": "q", "opts": { "jobId": parent }, "children": [child] });
        peer.call("addFlow", json!({ "flow": flow })).await;
    }
    worker
}

#[tokio::test]
async fn pages_of_every_state_are_those_of_node_in_both_orders() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V6).await;
    let worker = fill(&rig, &peer).await;
    for state in JobState::ALL {
        for (first, last) in [(0, 2), (1, 3), (0, 99), (2, 2), (5, 9), (90, 120)] {
            for ascending in [true, false] {
                let range = json!([[state.as_str()], first, last, ascending]);
                let expected = peer.queue("q", "getRanges", range.clone()).await;
                let ids = rig.queue.ids(state, Range { first, last, ascending }).await.unwrap();
                assert_eq!(json!(ids), expected, "{range}");
                let jobs = rig.queue.jobs(state, Range { first, last, ascending }).await.unwrap();
                assert_eq!(jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ids, "{range}");
            }
        }
        for id in rig.queue.ids(state, ALL).await.unwrap() {
            let expected = peer.call("getJobState", json!({ "queue": "q", "jobId": id })).await;
            assert_eq!(rig.queue.state(&id).await.unwrap().as_str(), expected, "{id}");
        }
    }
    assert_eq!(rig.queue.state("nobody").await.unwrap(), JobState::Unknown);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn counts_are_those_of_node() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V6).await;
    let worker = fill(&rig, &peer).await;
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!(json!(counts.by_state), peer.call("getJobCounts", json!({ "queue": "q" })).await);
    let some = rig.queue.counts_of(&[JobState::Delayed, JobState::Failed]).await.unwrap();
    let expected = peer.call("getJobCounts", json!({ "queue": "q", "types": ["delayed", "failed"] })).await;
    assert_eq!(json!(some.by_state), expected);
    assert_eq!(json!(rig.queue.count().await.unwrap()), peer.queue("q", "count", json!([])).await);
    let priorities = [0, 1, 2, 3, 4, 9];
    let expected = peer.queue("q", "getCountsPerPriority", json!([priorities])).await;
    let ours = rig.queue.counts_per_priority(&priorities).await.unwrap();
    assert_eq!(serde_json::to_value(ours).unwrap(), expected);
    let due = rig.raw.call(&["ZRANGE", "bull:q:delayed", "0", "-1", "WITHSCORES"]).await.texts();
    let last_due = due.last().unwrap().parse::<u64>().unwrap() / 4096;
    for cutoff in [1, last_due, last_due + 1] {
        let expected = peer.queue("q", "getDelayedCount", json!([cutoff])).await;
        assert_eq!(json!(rig.queue.delayed_before(cutoff).await.unwrap()), expected, "{cutoff}");
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn settings_are_those_of_node_and_unknown_ones_are_kept() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V6).await;
    assert_eq!(rig.queue.meta().await.unwrap(), operator_queue::QueueMeta::default());
    rig.queue.register().await.unwrap();
    let fields =
        ["HSET", "bull:q:meta", "concurrency", "2", "max", "5", "duration", "1000", "paused", "1", "mine", "x"];
    rig.raw.call(&fields).await.ok();
    let theirs = peer.call("getMeta", json!({ "queue": "q" })).await;
    let meta = rig.queue.meta().await.unwrap();
    let ours = json!({
        "version": meta.version, "paused": meta.paused, "concurrency": meta.concurrency, "max": meta.rate_max,
        "duration": meta.rate_duration_ms, "maxLenEvents": meta.max_events, "mine": meta.other["mine"],
    });
    assert_eq!(ours, theirs);
    for active in 0..3 {
        assert_eq!(json!(rig.queue.is_maxed().await.unwrap()), peer.queue("q", "isMaxed", json!([])).await);
        assert_eq!(rig.queue.is_maxed().await.unwrap(), active >= 2);
        rig.raw.call(&["LPUSH", "bull:q:active", &format!("a{active}")]).await.ok();
    }
}

#[tokio::test]
async fn jobs_that_version_five_parked_are_waiting_in_the_order_in_which_they_will_be_served() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V5).await;
    for id in ["a1", "a2", "a3"] {
        peer.call("add", json!({ "queue": "q", "name": "echo", "opts": { "jobId": id } })).await;
    }
    peer.call("pause", json!({ "queue": "q" })).await;
    rig.queue.add_bulk(vec![job("echo", "b1"), job("echo", "b2")]).await.unwrap();
    assert_eq!(rig.raw.call(&["LLEN", "bull:q:paused"]).await.int(), 3);

    let expected = ["a1", "a2", "a3", "b1", "b2"];
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 5);
    assert_eq!(rig.queue.count().await.unwrap(), 5);
    assert_eq!(rig.queue.counts_per_priority(&[0]).await.unwrap()[&0], 5);
    assert_eq!(rig.queue.state("a2").await.unwrap(), JobState::Waiting);
    for first in 0..6 {
        for last in first..7 {
            let slice = |ids: &[&str]| -> Vec<String> {
                ids.iter().skip(first).take(last + 1 - first).map(|id| (*id).to_owned()).collect()
            };
            let range = Range { first: first as u64, last: last as u64, ascending: true };
            assert_eq!(rig.queue.ids(JobState::Waiting, range).await.unwrap(), slice(&expected), "{first}..={last}");
            let newest: Vec<&str> = expected.iter().rev().copied().collect();
            let range = Range { ascending: false, ..range };
            assert_eq!(rig.queue.ids(JobState::Waiting, range).await.unwrap(), slice(&newest), "{first}..={last}");
        }
    }
    rig.queue.resume().await.unwrap();
    assert_eq!(rig.queue.ids(JobState::Waiting, ALL).await.unwrap(), expected);
}

#[tokio::test]
async fn a_log_is_paged_in_both_orders_as_in_node() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V6).await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    let lines: Vec<_> = (0..5).map(|number| format!("line {number}")).collect();
    rig.queue.add_logs("a", &lines, None).await.unwrap();
    for (first, last) in [(0, 1), (1, 3), (0, 9), (4, 4), (7, 9)] {
        for ascending in [true, false] {
            let wanted = json!({ "queue": "q", "jobId": "a", "start": first, "end": last, "asc": ascending });
            let expected = peer.call("getJobLogs", wanted.clone()).await;
            let (logs, count) = rig.queue.logs_page("a", Range { first, last, ascending }).await.unwrap();
            assert_eq!(json!({ "logs": logs, "count": count }), expected, "{wanted}");
        }
    }
}

#[tokio::test]
async fn the_job_behind_a_deduplication_id_is_found() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V6).await;
    assert_eq!(rig.queue.deduplication_job_id("once").await.unwrap(), None);
    let opts = json!({ "jobId": "first", "deduplication": { "id": "once" } });
    peer.call("add", json!({ "queue": "q", "name": "echo", "opts": opts })).await;
    assert_eq!(rig.queue.deduplication_job_id("once").await.unwrap().as_deref(), Some("first"));
}

#[tokio::test]
async fn the_workers_of_many_queues_are_found_with_one_look() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V6).await;
    let queues = ["q", "other", "idle"].map(|name| Queue::new(&rig.redis, name.to_owned().try_into().unwrap()));
    let served = queues[..2].iter().map(|queue| queue.name().clone());
    let ours = rig.worker_with(WorkerOptions { name: Some("ours".to_owned()), ..WorkerOptions::new(served) }).await;
    peer.call("startWorker", json!({ "queue": "q", "processor": "echo", "name": "theirs" })).await;
    let listed = operator_testkit::wait::eventually("both workers to be listed", async || {
        rig.raw.reset_stats().await;
        let listed = workers_of(&rig.redis, &queues).await.ok()?;
        (listed[queues[0].name()].len() == 2 && listed[queues[1].name()].len() == 1).then_some(listed)
    })
    .await;
    assert_eq!(rig.raw.command_stats().await["client|list"], 1);
    let names = |queue: &Queue| {
        let mut names: Vec<_> = listed[queue.name()].iter().filter_map(|worker| worker.name.as_deref()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!((names(&queues[0]), names(&queues[1])), (vec!["ours", "theirs"], vec!["ours"]));
    assert!(listed[queues[2].name()].is_empty());
    assert_eq!(queues[1].workers().await.unwrap().len(), 1);
    ours.stop(Duration::ZERO).await;
}

/// A rig whose clock stands still, and that clock.
async fn rig_at(now_ms: u64) -> (Rig, Clock) {
    let mut rig = Rig::on(RedisServer::start().await).await;
    let clock = Clock::manual(now_ms);
    rig.config = RedisConfig { clock: clock.clone(), ..RedisConfig::new(rig.server.url()) };
    rig.redis = Redis::connect(&rig.config).await.unwrap();
    rig.queue = Queue::new(&rig.redis, rig.queue.name().clone());
    (rig, clock)
}

#[tokio::test]
async fn waiting_begins_when_a_job_could_first_have_run() {
    let start = 1_790_000_000_000;
    let (rig, clock) = rig_at(start).await;
    assert_eq!(rig.queue.oldest_waiting_ms().await.unwrap(), None);
    rig.queue.add(with("echo", "later", delayed(60_000))).await.unwrap();
    assert_eq!(rig.queue.oldest_waiting_ms().await.unwrap(), None);
    clock.set(start + 10_000);
    rig.queue.promote("later").await.unwrap();
    assert_eq!(
        rig.queue.oldest_waiting_ms().await.unwrap(),
        Some(start + 10_000),
        "now, because it was promoted early"
    );
    clock.set(start + 100_000);
    assert_eq!(rig.queue.oldest_waiting_ms().await.unwrap(), Some(start + 60_000));
    clock.set(start + 30_000);
    rig.queue.add(with("echo", "ranked", priority(5))).await.unwrap();
    clock.set(start + 100_000);
    assert_eq!(rig.queue.oldest_waiting_ms().await.unwrap(), Some(start + 30_000), "the older of the next ones");
    rig.raw.call(&["HSET", "bull:q:ranked", "processedOn", &(start + 70_000).to_string()]).await.ok();
    assert_eq!(
        rig.queue.oldest_waiting_ms().await.unwrap(),
        Some(start + 60_000),
        "an attempt ends the wait before it"
    );
    rig.raw.call(&["RENAME", "bull:q:wait", "bull:q:paused"]).await.ok();
    assert_eq!(rig.queue.oldest_waiting_ms().await.unwrap(), Some(start + 60_000));
}

/// Which minutes BullMQ 6.7 keeps (of 5) when a job finishes at each of these times: offset, `prevTS` as an offset,
/// `prevCount`, minutes. Observed; the minute of the start is 32.345 seconds old.
const MINUTES: [(u64, u64, u64, &[u64]); 14] = [
    (0, 0, 0, &[]),
    (10, 0, 0, &[]),
    (59_999, 59_999, 2, &[2]),
    (60_000, 59_999, 2, &[2]),
    (60_001, 59_999, 2, &[2]),
    (61_000, 59_999, 2, &[2]),
    (180_000, 180_000, 6, &[0, 4, 2]),
    (180_000, 180_000, 6, &[0, 4, 2]),
    (600_000, 600_000, 8, &[0, 0, 0, 0, 2]),
    (590_000, 600_000, 8, &[0, 0, 0, 0, 2]),
    (1_200_000, 1_200_000, 10, &[0, 0, 0, 0, 2]),
    (1_200_001, 1_200_000, 10, &[0, 0, 0, 0, 2]),
    (1_260_000, 1_260_000, 12, &[2, 0, 0, 0, 0]),
    (1_320_001, 1_320_001, 13, &[1, 2, 0, 0, 0]),
];

#[tokio::test]
async fn minutes_are_counted_as_node_counts_them() {
    let start = 1_790_000_012_345;
    let (rig, clock) = rig_at(start).await;
    let options = WorkerOptions { metrics_max_data_points: Some(5), ..options(&rig.queue, 1) };
    let worker = rig.worker_with(options).await;
    for (count, (at, previous, previous_total, points)) in (1..).zip(MINUTES) {
        clock.set(start + at);
        rig.queue.add(job("echo", &format!("j{count}"))).await.unwrap();
        rig.until(JobState::Completed, count).await;
        let metrics = rig.queue.metrics(MetricKind::Completed, 0, -1).await.unwrap();
        let expected = (count, start + previous, previous_total, points.to_vec(), points.len() as u64);
        let found =
            (metrics.total, metrics.previous_ms, metrics.previous_total, metrics.points.clone(), metrics.point_count);
        assert_eq!(found, expected, "at {at}");
    }
    assert_eq!(rig.queue.metrics(MetricKind::Completed, 0, 1).await.unwrap().points, [1, 2]);
    assert_eq!(rig.queue.metrics(MetricKind::Failed, 0, -1).await.unwrap().total, 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_batch_counts_like_its_jobs_one_by_one() {
    let start = 1_790_000_012_345;
    let (rig, clock) = rig_at(start).await;
    let options = WorkerOptions { metrics_max_data_points: Some(100_000), ..options(&rig.queue, 50) };
    let worker = rig.worker_with(options).await;
    for (round, at) in (1..).zip([0, 120_000, 120_000 + 90_000 * 60_000]) {
        clock.set(start + at);
        rig.queue.add_bulk((0..40).map(|n| job("fail", &format!("r{round}n{n}"))).collect()).await.unwrap();
        rig.until(JobState::Failed, 40 * round).await;
    }
    let metrics = rig.queue.metrics(MetricKind::Failed, 0, -1).await.unwrap();
    assert_eq!((metrics.total, metrics.previous_total, metrics.point_count), (120, 80, 90_002));
    assert_eq!((metrics.points[89_999], &metrics.points[90_000..]), (40, &[0, 40][..]));
    assert_eq!(metrics.points[..89_999].iter().sum::<u64>(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn minutes_and_their_prometheus_text_are_read_alike_by_both() {
    let rig = Rig::start().await;
    let peer = peer(&rig, BullMq::V6).await;
    let theirs = json!({ "queue": "q", "processor": "echo", "worker": "w", "metrics": { "maxDataPoints": 60 }, "concurrency": 2 });
    peer.call("startWorker", theirs).await;
    rig.queue.add_bulk((0..4).map(|n| job("echo", &format!("a{n}"))).collect()).await.unwrap();
    rig.until(JobState::Completed, 4).await;
    peer.call("stopWorker", json!({ "worker": "w" })).await;
    let worker = rig.worker_with(WorkerOptions { metrics_max_data_points: Some(60), ..options(&rig.queue, 2) }).await;
    rig.queue.add_bulk((0..3).map(|n| job("fail", &format!("b{n}"))).collect()).await.unwrap();
    rig.queue.add_bulk((0..2).map(|n| job("echo", &format!("c{n}"))).collect()).await.unwrap();
    rig.until(JobState::Failed, 3).await;
    rig.until(JobState::Completed, 6).await;
    worker.stop(Duration::ZERO).await;
    rig.raw.call(&["RPUSH", "bull:q:metrics:failed:data", "7", "0", "3"]).await.ok();
    for (kind, total) in [(MetricKind::Completed, 6), (MetricKind::Failed, 3)] {
        for (first, last) in [(0, -1), (0, 1), (1, -1), (5, 9)] {
            let metrics = rig.queue.metrics(kind, first, last).await.unwrap();
            assert_eq!(metrics.total, total);
            let meta = json!({
                "count": metrics.total, "prevTS": metrics.previous_ms, "prevCount": metrics.previous_total,
            });
            let ours = json!({ "meta": meta, "data": metrics.points, "count": metrics.point_count });
            let theirs = peer.queue("q", "getMetrics", json!([kind.as_str(), first, last])).await;
            assert_eq!(ours, theirs, "{kind:?} {first} {last}");
        }
    }
    let ours = rig.queue.prometheus_text(&[("env", "a\"b")]).await.unwrap();
    let theirs = peer.queue("q", "exportPrometheusMetrics", json!([{ "env": "a\"b" }])).await;
    assert_eq!(ours.trim_end(), theirs);
    for label in ["", "1a", "a-b", "queue"] {
        let refused = rig.queue.prometheus_text(&[(label, "x")]).await;
        assert!(matches!(refused, Err(QueueError::InvalidArgument { .. })), "{label}");
    }
}

/// Reads what no worker has written yet: nothing anywhere is missing, it is empty.
#[tokio::test]
async fn a_queue_that_does_not_exist_is_empty() {
    let rig = Rig::start().await;
    assert_eq!(rig.queue.counts().await.unwrap().unfinished(), 0);
    for state in JobState::ALL {
        assert!(rig.queue.ids(state, ALL).await.unwrap().is_empty());
    }
    let beyond = Range { first: u64::MAX, last: u64::MAX, ascending: true };
    assert!(rig.queue.ids(JobState::Waiting, beyond).await.unwrap().is_empty());
    assert!(rig.queue.ids(JobState::Active, beyond).await.unwrap().is_empty());
    assert_eq!(rig.queue.metrics(MetricKind::Failed, 0, -1).await.unwrap(), operator_queue::MinuteMetrics::default());
    assert!(rig.queue.children_values("nobody").await.unwrap().is_empty());
    assert_eq!(rig.queue.parent("nobody").await.unwrap(), None);
    assert_eq!(rig.queue.flow_tree("nobody", 9, 9).await.unwrap(), None);
    assert!(rig.raw.keys("bull:").await.is_empty(), "reading writes nothing");
}
