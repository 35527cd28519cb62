//! What an idle worker costs Redis.

use std::time::Instant;

use operator_testkit::{RedisServer, eventually};

use crate::running::{Running, Watched};

#[tokio::test]
async fn an_idle_worker_makes_fewer_than_two_commands_a_second() {
    let redis = RedisServer::start().await;
    let watched = Watched::of(&redis).await;
    let client = watched.client();
    let _worker = Running::start(&redis.url(), &[]).await;
    // Each turn of an idle worker ends in one script; the first turns belong to the start.
    let turns = async |count: u64| {
        eventually("the next turn of the idle worker", async || {
            let scripts = client.command_stats().await;
            let scripts = scripts.iter().filter(|(name, _)| name.starts_with("evalsha")).map(|(_, calls)| calls);
            (scripts.sum::<u64>() >= count).then_some(())
        })
        .await;
    };
    client.reset_stats().await;
    turns(2).await;
    client.reset_stats().await;
    let started = Instant::now();
    turns(3).await;
    let stats = client.command_stats().await;
    let seconds = started.elapsed().as_secs_f64();
    let asked_by_us = ["info", "config|resetstat"];
    let commands: u64 = stats.iter().filter(|(name, _)| !asked_by_us.contains(&name.as_str())).map(|(_, n)| n).sum();
    println!("{commands} commands in {seconds:.1} s: {stats:?}");
    #[expect(clippy::cast_precision_loss, reason = "a handful of commands")]
    let rate = commands as f64 / seconds;
    assert!(rate < 2.0, "{rate:.2} commands a second: {stats:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_idle_worker_takes_less_than_25_megabytes() {
    let redis = RedisServer::start().await;
    let worker = Running::start(&redis.url(), &[]).await;
    let (_, metrics) = worker.get("/metrics").await;
    let resident = metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    let megabytes = resident.unwrap().parse::<f64>().unwrap() / 1e6;
    assert!(megabytes < 25.0, "{megabytes:.1} MB are resident");
}
