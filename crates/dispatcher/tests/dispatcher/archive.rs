//! The streams of finished jobs reach the history exactly once, whoever dies when.

use std::collections::BTreeSet;
use std::time::Duration;

use operator_core::{JobOptions, Keep, NewJob, QueueName};
use operator_queue::history::HistoryReader;
use operator_queue::{Redis, RedisConfig};
use operator_testkit::postgres::PostgresServer;
use operator_testkit::process::Process;
use operator_testkit::{RedisServer, eventually};
use serde_json::{Value, json};

use crate::harness::{Running, World, queue, records, store, until_recorded};
use crate::worker;

fn many(count: usize) -> Value {
    (0..count).map(|n| json!({"name": "echo", "data": n, "opts": {"removeOnComplete": n % 2 == 0}})).collect()
}

/// Jobs of which nothing but their record is left.
fn gone(count: usize) -> Vec<NewJob> {
    let opts = JobOptions { remove_on_complete: Some(Keep::Nothing), ..JobOptions::default() };
    (0..count).map(|n| NewJob::new("echo", json!(n)).with(opts.clone())).collect()
}

/// Waits until the stream of `q` is empty and nobody holds any of it.
async fn until_drained(redis: &RedisServer) {
    let client = redis.client().await;
    eventually("an empty stream", async || {
        (client.call(&["XLEN", "bull:q:operator:history"]).await.int() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_dispatchers_share_one_stream_and_store_each_record_once() {
    let world = World::new().await;
    let another = world.another().await;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    for _ in 0..3 {
        world.dispatcher.add("q", many(500)).await;
        another.add("q", many(500)).await;
    }
    let records = world.until_recorded(3000).await;
    let ids: BTreeSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!((records.len(), ids.len()), (3000, 3000));
    until_drained(&world.redis).await;
    worker::stop(worker).await;
    assert_eq!(another.stop().await, operator_telemetry::Exit::Ok);
    let client = world.redis.client().await;
    let consumers = client.call(&["XINFO", "CONSUMERS", "bull:q:operator:history", "operator-archive"]).await;
    assert_eq!(consumers.list().len(), 1, "the one that stopped has left the group");
}

#[tokio::test]
async fn a_batch_whose_dispatcher_died_between_insert_and_confirm_is_taken_over_and_stored_once() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("history.db").display());
    let jobs = queue(&redis.url(), "q").await;
    jobs.register().await.unwrap();
    let worker = worker::start(&redis.url(), &["q"]).await;
    for n in 0..20 {
        jobs.add(NewJob::new("echo", json!(n))).await.unwrap();
    }
    eventually("all to be done", async || (jobs.counts().await.unwrap().unfinished() == 0).then_some(())).await;
    worker::stop(worker).await;

    // What a dispatcher does up to the moment in which it dies.
    let store = store(&database).await;
    let connection = Redis::connect(&RedisConfig::new(redis.url())).await.unwrap();
    let mut doomed = HistoryReader::new(&connection, "doomed");
    doomed.follow(BTreeSet::from([QueueName::new("q").unwrap()])).await.unwrap();
    let entries = doomed.read(1000, Duration::from_secs(1)).await.unwrap();
    let stored: Vec<_> = entries.iter().flat_map(|entry| entry.records.clone()).collect();
    assert_eq!(store.insert_records(&stored).await.unwrap(), 20);
    drop(doomed);
    let client = redis.client().await;
    for entry in &entries {
        // A minute passes.
        let aged = ["XCLAIM", "bull:q:operator:history", "operator-archive", "doomed", "0", &entry.id, "IDLE", "61000"];
        client.call(&aged).await.ok();
    }

    let dispatcher = Running::start(&redis.url(), &database, &[]).await;
    until_drained(&redis).await;
    assert_eq!(records(&store).await.len(), 20);
    assert_eq!(dispatcher.read("/queues/q").await["historyBacklog"], 0);
}

#[tokio::test]
async fn records_wait_for_a_database_that_is_away_and_arrive_afterwards() {
    let redis = RedisServer::start().await;
    let mut postgres = PostgresServer::start();
    let database = postgres.new_database();
    let dispatcher = Running::start(&redis.url(), &database, &[]).await;
    let worker = worker::start(&redis.url(), &["q"]).await;
    dispatcher.add("q", many(100)).await;
    until_recorded(&store(&database).await, 100).await;

    postgres.kill();
    dispatcher.add("q", many(300)).await;
    let counts = async || {
        let counts = dispatcher.read("/queues/q").await["counts"].clone();
        (counts["waiting"] == 0 && counts["active"] == 0).then_some(())
    };
    eventually("the jobs to run without the database", counts).await;
    worker::stop(worker).await;
    assert!(dispatcher.read("/queues/q").await["historyBacklog"].as_u64().unwrap() > 0);
    assert_eq!(dispatcher.get("/health").await.status, 200);

    postgres.restart();
    let store = store(&database).await;
    let records = until_recorded(&store, 400).await;
    let keys: BTreeSet<_> = records.iter().map(|record| (&record.id, record.finished_ms)).collect();
    assert_eq!((records.len(), keys.len()), (400, 400));
    until_drained(&redis).await;
}

#[tokio::test]
async fn a_queue_that_appears_later_is_archived_too() {
    let world = World::new().await;
    for name in ["first", "second", "third"] {
        let worker = worker::start(&world.redis.url(), &[name]).await;
        let id = world.dispatcher.add_one(name, "echo", json!({"removeOnComplete": true})).await;
        world.dispatcher.until_job(&id, "source", "history").await;
        worker::stop(worker).await;
    }
}

#[tokio::test]
async fn a_flushed_redis_is_followed_anew() {
    let world = World::new().await;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let id = world.dispatcher.add_one("q", "echo", json!({})).await;
    world.until_recorded(1).await;
    worker::stop(worker).await;
    world.redis.client().await.call(&["FLUSHALL"]).await.ok();
    assert_eq!(world.dispatcher.read(&format!("/jobs/{id}")).await["source"], "history");
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    world.dispatcher.add_one("q", "echo", json!({"removeOnComplete": true})).await;
    world.until_recorded(2).await;
    worker::stop(worker).await;
}

/// A dispatcher as a process of its own.
fn process(redis: &RedisServer, database: &str) -> Process {
    Process::builder(env!("CARGO_BIN_EXE_operator-dispatcher"))
        .env("PORT", "0")
        .env("OPERATOR_BIND", "127.0.0.1")
        .env("REDIS_URL", redis.url())
        .env("DATABASE_URL", database)
        .env("OPERATOR_ARCHIVE_INTERVAL_MS", "100")
        .start()
}

#[tokio::test]
async fn dispatchers_that_are_killed_while_they_drain_lose_and_double_nothing() {
    let redis = RedisServer::start().await;
    let database = PostgresServer::shared().new_database();
    let jobs = queue(&redis.url(), "q").await;
    jobs.register().await.unwrap();
    let survivor = process(&redis, &database);
    survivor.wait_for_line("that it answers", |line| line.contains("answers")).await;
    let worker = worker::start(&redis.url(), &["q"]).await;
    let store = store(&database).await;
    for round in 1..=3 {
        let mut doomed = process(&redis, &database);
        doomed.wait_for_line("that it answers", |line| line.contains("answers")).await;
        jobs.add_bulk(gone(1000)).await.unwrap();
        until_recorded(&store, round * 1000 - 700).await;
        doomed.kill9().await;
    }
    eventually("all to be done", async || (jobs.counts().await.unwrap().unfinished() == 0).then_some(())).await;
    worker::stop(worker).await;
    age_what_is_held(&redis).await;
    let records = until_recorded(&store, 3000).await;
    until_drained(&redis).await;
    let ids: BTreeSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!((records.len(), ids.len()), (3000, 3000));
}

#[tokio::test]
async fn a_dispatcher_that_stops_while_the_database_is_away_leaves_its_batch_to_the_next() {
    let redis = RedisServer::start().await;
    let mut postgres = PostgresServer::start();
    let database = postgres.new_database();
    let mut stopping = process(&redis, &database);
    stopping.wait_for_line("that it answers", |line| line.contains("answers")).await;
    postgres.kill();
    let jobs = queue(&redis.url(), "q").await;
    jobs.register().await.unwrap();
    jobs.add_bulk(gone(50)).await.unwrap();
    let worker = worker::start(&redis.url(), &["q"]).await;
    stopping.wait_for_line("that it waits", |line| line.contains("does not take the records")).await;
    eventually("all to be done", async || (jobs.counts().await.unwrap().unfinished() == 0).then_some(())).await;
    worker::stop(worker).await;
    stopping.terminate();
    assert_eq!(stopping.wait_exit().await, Some(0));

    postgres.restart();
    age_what_is_held(&redis).await;
    let _next = Running::start(&redis.url(), &database, &[]).await;
    until_drained(&redis).await;
    assert_eq!(records(&store(&database).await).await.len(), 50);
}

/// Lets a minute pass for every entry that a dispatcher holds.
async fn age_what_is_held(redis: &RedisServer) {
    let client = redis.client().await;
    let stream = ["bull:q:operator:history", "operator-archive"];
    let held = client.call(&["XPENDING", stream[0], stream[1], "-", "+", "10000"]).await;
    for entry in held.list() {
        let (id, holder) = (entry.list()[0].text(), entry.list()[1].text());
        client.call(&["XCLAIM", stream[0], stream[1], &holder, "0", &id, "IDLE", "61000", "JUSTID"]).await.ok();
    }
}
