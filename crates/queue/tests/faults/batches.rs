//! Many outcomes in one call: bounded in what they carry and in what they remove.

use operator_core::{JobOptions, Json, Keep, KeepLimits, NewJob};
use operator_testkit::redis::RedisServer;
use operator_testkit::wait::eventually;

use crate::rig::{Rig, job, with};
use crate::{count_events, gated, patient, proxied};

/// Runs the jobs so that the outcomes of all but one wait for the call that writes that one.
async fn finish_together(rig: &Rig, jobs: Vec<NewJob>) {
    let count = jobs.len();
    let (proxy, config) = proxied(rig).await;
    let (worker, gate) = gated(&config, patient(rig, count)).await;
    let status = worker.status();
    rig.queue.add_bulk(jobs).await.unwrap();
    eventually("all jobs to run", async || (status.busy() == count).then_some(())).await;
    let held = proxy.hold_request("operator:history");
    gate.add_permits(1);
    held.arrived().await;
    gate.add_permits(count - 1);
    status.idle().await;
    held.forward();
    eventually("all to be written", async || (count_events(rig, "completed").await == count).then_some(())).await;
    assert_eq!(worker.status().lost(), 0);
    worker.stop(std::time::Duration::ZERO).await;
}

#[tokio::test]
async fn keep_policies_remove_no_more_in_one_call_the_more_there_are_of_them() {
    let rig = Rig::start().await;
    let fill = "for number = 1, 5000 do redis.call('ZADD', 'bull:q:completed', number, 'old' .. number) end";
    rig.raw.call(&["EVAL", fill, "0"]).await.ok();
    let keeping = |count| {
        let keep = Keep::Limited(KeepLimits { count: Some(count), age_s: None, limit: None });
        with("gated", &format!("j{count}"), JobOptions { remove_on_complete: Some(keep), ..JobOptions::default() })
    };
    finish_together(&rig, (100..105).map(keeping).collect()).await;
    // Two calls wrote the outcomes, and each may remove a thousand.
    assert_eq!(rig.raw.call(&["ZCARD", "bull:q:completed"]).await.int(), 3005);
}

#[tokio::test]
async fn large_results_are_not_sent_in_one_call() {
    let rig = Rig::on(RedisServer::builder().set("proto-max-bulk-len", "5mb").start().await).await;
    let jobs = (0..20).map(|_| NewJob::new("gated", Json::encode(&"x".repeat(500_000)).unwrap()));
    let jobs = jobs.chain([job("gated", "small")]).collect();
    finish_together(&rig, jobs).await;
    // A larger call ends in an error and with its connection: worker, sleeper, this test's two, and one to look.
    let connections: u32 = rig.raw.info("stats").await["total_connections_received"].parse().unwrap();
    assert!(connections <= 6, "{connections}");
}
