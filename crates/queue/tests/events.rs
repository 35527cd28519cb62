//! Listening to a queue: what comes, in which order, and what becomes of it when something breaks.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use operator_core::JobState;
use operator_queue::events::{Delivery, Event, EventEntry, EventId, Events, EventsOptions, Gap, StartAt};
use operator_queue::{Queue, QueueError, Redis, RedisConfig, RedisError};
use operator_testkit::fault::{Cut, Proxy};
use operator_testkit::node::{BullMq, NodePeer};
use operator_testkit::redis::RedisServer;
use operator_testkit::wait::{LIMIT, eventually};
use rig::{Rig, job};
use serde_json::json;

fn from(start: StartAt) -> EventsOptions {
    EventsOptions { start, ..EventsOptions::default() }
}

async fn next(events: &mut Events) -> Delivery {
    tokio::time::timeout(LIMIT, events.next()).await.unwrap().unwrap()
}

async fn entry(events: &mut Events) -> EventEntry {
    match next(events).await {
        Delivery::Event(entry) => entry,
        gap => panic!("expected an event, got {gap:?}"),
    }
}

/// The custom event number `n`.
async fn publish(queue: &Queue, n: u64) -> Result<EventId, QueueError> {
    queue.publish_event("number", &[("n", &n.to_string())], Some(100_000)).await
}

/// Publishes again when the connection broke, until it is there: an ambiguous answer is looked up.
async fn publish_surely(rig: &Rig, queue: &Queue, n: u64) {
    while publish(queue, n).await.is_err() {
        let newest = rig.raw.call(&["XREVRANGE", "bull:q:events", "+", "-", "COUNT", "1"]).await;
        if newest.list().first().is_some_and(|entry| entry.list()[1].map().get("n") == Some(&n.to_string())) {
            return;
        }
    }
}

fn number(entry: &EventEntry) -> u64 {
    match &entry.event {
        Event::Other { name, fields } if name == "number" => fields[0].1.parse().unwrap(),
        other => panic!("expected a number, got {other:?}"),
    }
}

/// A queue behind a proxy, over a connection of its own.
async fn behind(proxy: &Proxy, server: &RedisServer) -> Queue {
    let config =
        RedisConfig { command_timeout: Duration::from_secs(2), ..RedisConfig::new(server.url_on(proxy.port())) };
    Queue::new(&Redis::connect(&config).await.unwrap(), "q".to_owned().try_into().unwrap())
}

#[tokio::test]
async fn every_event_that_bullmq_writes_is_understood() {
    let rig = Rig::start().await;
    for release in [BullMq::V5, BullMq::V6] {
        let peer = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
        let add = async |name: &str, opts| {
            peer.call("add", json!({ "queue": "q", "name": name, "opts": opts })).await;
        };
        peer.call("pause", json!({ "queue": "q" })).await;
        add("echo", json!({ "jobId": "plain" })).await;
        add("echo", json!({ "jobId": "plain" })).await;
        add("echo", json!({ "jobId": "late", "delay": 60_000 })).await;
        add("echo", json!({ "jobId": "d1", "deduplication": { "id": "x" } })).await;
        add("echo", json!({ "jobId": "d2", "deduplication": { "id": "x" } })).await;
        add("echo", json!({ "jobId": "gone", "delay": 60_000 })).await;
        peer.call("remove", json!({ "queue": "q", "jobId": "gone" })).await;
        let child = json!({ "name": "fail", "queueName": "q", "opts": { "jobId": "c", "attempts": 2 } });
        let flow = json!({ "name": "echo", "queueName": "q", "opts": { "jobId": "p" }, "children": [child] });
        peer.call("addFlow", json!({ "flow": flow })).await;
        peer.call("resume", json!({ "queue": "q" })).await;
        peer.call("promote", json!({ "queue": "q", "jobId": "late" })).await;
        peer.job("q", "plain", "updateProgress", json!([{ "half": true }])).await;
        peer.queue("q", "clean", json!([0, 10, "completed"])).await;
        let worker = rig.worker(1).await;
        rig.until(JobState::Failed, 1).await;
        rig.until(JobState::Waiting, 0).await;
        rig.until(JobState::Active, 0).await;
        worker.stop(Duration::ZERO).await;
        for id in ["plain", "late", "d1", "p", "c"] {
            peer.call("remove", json!({ "queue": "q", "jobId": id })).await;
        }
        peer.close().await;
    }
    rig.raw.call(&["XADD", "bull:q:events", "*", "event", "stalled", "jobId", "s"]).await.ok();

    let mut events = rig.queue.events(from(StartAt::Beginning)).await.unwrap();
    let mut names = BTreeSet::new();
    for _ in 0..rig.raw.call(&["XLEN", "bull:q:events"]).await.int() {
        let entry = entry(&mut events).await;
        assert!(entry.id.ms > 1_700_000_000_000);
        let name = format!("{:?}", entry.event);
        assert!(!matches!(entry.event, Event::Other { .. }), "{name}");
        names.insert(name.split([' ', '{']).next().unwrap().to_owned());
    }
    let expected = [
        "Active",
        "Added",
        "Cleaned",
        "Completed",
        "Debounced",
        "Deduplicated",
        "Delayed",
        "Drained",
        "Duplicated",
        "Failed",
        "Paused",
        "Progress",
        "Removed",
        "Resumed",
        "RetriesExhausted",
        "Stalled",
        "Waiting",
        "WaitingChildren",
    ];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn custom_events_are_heard_on_both_sides() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let mut events = rig.queue.events(EventsOptions::default()).await.unwrap();
    peer.call("startQueueEvents", json!({ "queue": "q" })).await;

    let id = rig.queue.publish_event("from-us", &[("a", "1"), ("b", "two")], None).await.unwrap();
    let heard = peer.event_of("queueEvents", "from-us").await;
    assert_eq!(heard, json!([{ "a": "1", "b": "two" }, id.to_string()]));
    let ours = entry(&mut events).await;
    assert_eq!(ours.id, id);

    let event = json!({ "eventName": "from-node", "n": 7, "text": "x" });
    peer.call("publishEvent", json!({ "queue": "q", "event": event })).await;
    let fields = vec![("n".to_owned(), "7".to_owned()), ("text".to_owned(), "x".to_owned())];
    assert_eq!(entry(&mut events).await.event, Event::Other { name: "from-node".to_owned(), fields });
}

#[tokio::test]
async fn nobody_publishes_under_a_name_of_the_wire() {
    let rig = Rig::start().await;
    for name in ["completed", "removed", "debounced", "error", ""] {
        let refused = rig.queue.publish_event(name, &[("jobId", "1")], None).await;
        assert!(matches!(refused, Err(QueueError::InvalidArgument { field: "name", .. })), "{name}");
    }
    let refused = rig.queue.publish_event("mine", &[("event", "completed")], None).await;
    assert!(matches!(refused, Err(QueueError::InvalidArgument { field: "fields", .. })));
    assert!(rig.raw.keys("bull:").await.is_empty());
}

#[tokio::test]
async fn an_event_of_ones_own_leaves_the_stream_as_long_as_the_queue_keeps_it() {
    let rig = Rig::start().await;
    rig.queue.register().await.unwrap();
    for n in 0..3000 {
        publish(&rig.queue, n).await.unwrap();
    }
    rig.queue.publish_event("mine", &[], None).await.unwrap();
    assert_eq!(rig.raw.call(&["XLEN", "bull:q:events"]).await.int(), 3001);
    let queue = rig.queue.clone().with_max_data_bytes(100);
    let large = queue.publish_event("mine", &[("text", &"x".repeat(100))], None).await;
    assert!(matches!(large, Err(QueueError::TooLarge { bytes: 104, limit: 100, .. })), "{large:?}");
    let named = queue.publish_event(&"n".repeat(1025), &[], None).await;
    assert!(matches!(named, Err(QueueError::InvalidId(_))), "{named:?}");
}

#[tokio::test]
async fn a_bad_entry_is_delivered_as_it_stands_and_stops_nothing() {
    let rig = Rig::start().await;
    let mut events = rig.queue.events(EventsOptions::default()).await.unwrap();
    let bad: [&[&[u8]]; 6] = [
        &[b"event", b"completed", b"jobId", b"1", b"returnvalue", b"{oops"],
        &[b"event", b"progress", b"jobId", b"1"],
        &[b"event", b"\xff\xfe", b"\x00", b"\xff"],
        &[b"no", b"name"],
        &[b"event", b"delayed", b"jobId", b"1", b"delay", b"NaN"],
        &[b"event", b"cleaned", b"count", b""],
    ];
    for fields in bad {
        let command: Vec<&[u8]> = [&b"XADD"[..], b"bull:q:events", b"*"].iter().chain(fields).copied().collect();
        rig.raw.call(&command).await.ok();
    }
    publish(&rig.queue, 1).await.unwrap();
    for _ in bad {
        assert!(matches!(entry(&mut events).await.event, Event::Other { .. }));
    }
    assert_eq!(number(&entry(&mut events).await), 1);
}

#[tokio::test]
async fn a_subscription_begins_where_it_is_told_to() {
    let rig = Rig::start().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(publish(&rig.queue, n).await.unwrap());
    }
    let mut beginning = rig.queue.events(from(StartAt::Beginning)).await.unwrap();
    let mut after = rig.queue.events(from(StartAt::After(ids[2]))).await.unwrap();
    let mut after_last = rig.queue.events(from(StartAt::After(ids[4]))).await.unwrap();
    let mut now = rig.queue.events(from(StartAt::Now)).await.unwrap();
    publish(&rig.queue, 5).await.unwrap();
    assert_eq!(number(&entry(&mut beginning).await), 0);
    assert_eq!(number(&entry(&mut after).await), 3);
    assert_eq!(number(&entry(&mut after_last).await), 5);
    assert_eq!(number(&entry(&mut now).await), 5);
    let rest: Vec<_> = beginning.take(5).map(|delivery| matches!(delivery, Delivery::Event(_))).collect().await;
    assert_eq!(rest, [true; 5]);
}

#[tokio::test]
async fn nothing_is_missed_and_nothing_comes_twice_when_connections_break() {
    let rig = Rig::start().await;
    let proxy = Proxy::to(rig.server.port()).await;
    let queue = behind(&proxy, &rig.server).await;
    let mut events = queue.events(EventsOptions::default()).await.unwrap();
    const EVENTS: u64 = 400;
    let publishing = async {
        for n in 0..EVENTS {
            publish_surely(&rig, &rig.queue, n).await;
            match n {
                50 | 250 => proxy.cut(Cut::Reset).await,
                100 => proxy.lose_reply_to("XREAD"),
                150 => proxy.cut(Cut::Close).await,
                200 => proxy.refuse().await,
                230 => proxy.heal(),
                300 => proxy.lose_reply_to("XRANGE"),
                _ => {}
            }
        }
    };
    let listening = async {
        for n in 0..EVENTS {
            assert_eq!(number(&entry(&mut events).await), n);
        }
    };
    tokio::join!(publishing, listening);
}

#[tokio::test]
async fn a_restart_that_keeps_the_stream_is_not_noticed() {
    let mut rig = Rig::on(RedisServer::builder().durable().start().await).await;
    let mut events = rig.queue.events(EventsOptions::default()).await.unwrap();
    publish(&rig.queue, 0).await.unwrap();
    assert_eq!(number(&entry(&mut events).await), 0);
    rig.server.restart().await;
    for n in 1..4 {
        publish_surely(&rig, &rig.queue, n).await;
        assert_eq!(number(&entry(&mut events).await), n);
    }
}

#[tokio::test]
async fn a_restart_that_loses_the_stream_is_a_gap() {
    let mut rig = Rig::start().await;
    let mut events = rig.queue.events(EventsOptions::default()).await.unwrap();
    for n in 0..3 {
        publish(&rig.queue, n).await.unwrap();
        entry(&mut events).await;
    }
    rig.server.restart().await;
    publish_surely(&rig, &rig.queue, 3).await;
    assert!(matches!(next(&mut events).await, Delivery::Gap(Gap { missing: None, .. })));
    assert_eq!(number(&entry(&mut events).await), 3);
}

#[tokio::test]
async fn what_was_trimmed_before_a_slow_listener_read_it_is_counted() {
    const EVENTS: u64 = 1000;
    let rig = Rig::start().await;
    let mut events = rig.queue.events(EventsOptions::default()).await.unwrap();
    for n in 0..EVENTS {
        publish(&rig.queue, n).await.unwrap();
    }
    rig.raw.call(&["XTRIM", "bull:q:events", "MAXLEN", "=", "10"]).await.ok();
    let (mut expected, mut missing, mut gaps) = (0, 0, 0);
    while expected < EVENTS {
        match next(&mut events).await {
            Delivery::Event(entry) => {
                assert_eq!(number(&entry), expected);
                expected += 1;
            }
            Delivery::Gap(gap) => {
                missing += gap.missing.unwrap();
                expected += gap.missing.unwrap();
                gaps += 1;
            }
        }
    }
    assert!(gaps == 1 && missing > 0, "{gaps} gaps, {missing} missing");
}

#[tokio::test]
async fn trimming_what_was_read_is_no_gap() {
    let rig = Rig::start().await;
    let mut events = rig.queue.events(EventsOptions::default()).await.unwrap();
    for n in 0..20 {
        publish(&rig.queue, n).await.unwrap();
        assert_eq!(number(&entry(&mut events).await), n);
        rig.raw.call(&["XTRIM", "bull:q:events", "MAXLEN", "=", "0"]).await.ok();
    }
}

#[tokio::test]
async fn resuming_after_a_trimmed_entry_is_a_gap_and_after_a_kept_one_is_not() {
    let rig = Rig::start().await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(publish(&rig.queue, n).await.unwrap());
    }
    rig.raw.call(&["XTRIM", "bull:q:events", "MAXLEN", "=", "5"]).await.ok();
    let mut events = rig.queue.events(from(StartAt::After(ids[2]))).await.unwrap();
    assert_eq!(next(&mut events).await, Delivery::Gap(Gap { after: ids[2], missing: None }));
    assert_eq!(number(&entry(&mut events).await), 5);
    let mut events = rig.queue.events(from(StartAt::After(ids[5]))).await.unwrap();
    assert_eq!(number(&entry(&mut events).await), 6);
    let mut events = rig.queue.events(from(StartAt::Beginning)).await.unwrap();
    assert_eq!(number(&entry(&mut events).await), 5);
}

#[tokio::test]
async fn a_listener_that_does_not_listen_holds_a_page_and_no_more() {
    let rig = Rig::start().await;
    for n in 0..3000 {
        publish(&rig.queue, n).await.unwrap();
    }
    rig.raw.reset_stats().await;
    let mut events = rig.queue.events(from(StartAt::Beginning)).await.unwrap();
    for n in 0..50 {
        assert_eq!(number(&entry(&mut events).await), n);
    }
    assert_eq!(rig.raw.command_stats().await["xread"], 1);
    for n in 50..3000 {
        assert_eq!(number(&entry(&mut events).await), n);
    }
}

#[tokio::test]
async fn a_subscription_is_listed_as_bullmqs_are_and_ends_without_a_trace() {
    let rig = Rig::start().await;
    let peer = NodePeer::bullmq(BullMq::V6, &rig.server.url(), "bull").await;
    let listed = async || peer.queue("q", "getQueueEvents", json!([])).await.as_array().map(Vec::len);
    let mut stopped = rig.queue.events(EventsOptions::default()).await.unwrap();
    let mut dropped = rig.queue.events(EventsOptions::default()).await.unwrap();
    let options = EventsOptions { connection_name: Some("mine".to_owned()), ..EventsOptions::default() };
    let mut named = rig.queue.events(options).await.unwrap();
    publish(&rig.queue, 1).await.unwrap();
    for events in [&mut stopped, &mut dropped, &mut named] {
        assert_eq!(number(&entry(events).await), 1);
    }
    eventually("both to be listed", async || (listed().await == Some(2)).then_some(())).await;
    assert!(rig.raw.call(&["CLIENT", "LIST"]).await.text().contains(" name=mine "));
    stopped.stop().await;
    drop((dropped, named));
    eventually("none to be listed", async || (listed().await == Some(0)).then_some(())).await;
    eventually("the other to be gone", async || {
        (!rig.raw.call(&["CLIENT", "LIST"]).await.text().contains(" name=mine ")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_subscription_needs_a_server_to_begin_with() {
    let mut rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    let config = RedisConfig { command_timeout: Duration::from_millis(300), ..rig.config.clone() };
    let queue = Queue::new(&Redis::connect(&config).await.unwrap(), rig.queue.name().clone());
    rig.server.kill();
    let refused = queue.events(EventsOptions::default()).await;
    assert!(matches!(refused, Err(QueueError::Redis(RedisError::Lost { .. }))));
}
