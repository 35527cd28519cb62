//! All jobs in pages, from Redis and from the history.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::World;
use crate::worker;

/// Every job that `path` gives, page by page.
async fn all(world: &World, path: &str) -> Vec<Value> {
    let (mut jobs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.dispatcher.read(&format!("{path}{cursor}")).await;
        jobs.extend(page["jobs"].as_array().unwrap().iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return jobs,
        }
    }
}

fn names(jobs: &[Value]) -> Vec<&str> {
    jobs.iter().map(|job| job["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_job_is_on_exactly_one_page_unfinished_ones_first() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["a", "b"]).await;
    for queue in ["a", "b"] {
        let jobs: Vec<Value> =
            (0..5).map(|n| json!({"name": "echo", "opts": {"removeOnComplete": n % 2 == 0}})).collect();
        api.add(queue, json!(jobs)).await;
        api.add_one(queue, "fail", json!({})).await;
    }
    world.until_recorded(12).await;
    worker::stop(worker).await;
    for queue in ["a", "b", "c"] {
        api.add(
            queue,
            json!([{"name": "later", "opts": {"delay": 9_999_999}}, {"name": "soon"}, {"name": "soon"},
            {"name": "ranked", "opts": {"priority": 2}}]),
        )
        .await;
    }
    for limit in [1, 2, 3, 7, 12, 24, 200] {
        let jobs = all(&world, &format!("/jobs?limit={limit}")).await;
        let places: BTreeSet<_> = jobs.iter().map(|job| (job["queue"].to_string(), job["id"].to_string())).collect();
        assert_eq!((jobs.len(), places.len()), (24, 24), "limit {limit}");
        let sources: Vec<_> = jobs.iter().map(|job| job["source"].as_str().unwrap()).collect();
        assert!(sources.is_sorted_by(|a, b| a >= b), "limit {limit}: {sources:?}");
        assert_eq!(names(&jobs)[..4], ["soon", "soon", "ranked", "later"], "limit {limit}");
        let finished: Vec<_> = jobs[12..].iter().map(|job| job["finishedAt"].as_str().unwrap()).collect();
        assert!(finished.is_sorted_by(|a, b| a >= b), "limit {limit}: {finished:?}");
    }
    for (filter, count) in [
        ("queue=a", 10),
        ("queue=none", 0),
        ("status=completed", 10),
        ("status=succeeded", 10),
        ("status=failed&queue=b", 1),
        ("status=pending", 12),
        ("status=queued&queue=c", 4),
        ("status=running", 0),
        ("status=retrying", 0),
        ("status=cancelled", 0),
        ("name=echo", 10),
        ("name=soon", 6),
        ("name=soon&status=completed", 0),
        ("name=fail&queue=a&status=failed", 1),
    ] {
        for limit in [1, 4, 100] {
            let jobs = all(&world, &format!("/jobs?{filter}&limit={limit}")).await;
            assert_eq!(jobs.len(), count, "{filter} by {limit}: {jobs:?}");
        }
    }
}

#[tokio::test]
async fn a_job_between_attempts_is_retrying_and_a_running_one_active() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let flaky = api.add_one("q", "flaky", json!({"attempts": 2, "backoff": 3_600_000})).await;
    let held = api.add_one("q", "hold", json!({})).await;
    let job = api.until_job(&flaky, "status", "retrying").await;
    assert_eq!((&job["state"], &job["attemptsMade"], &job["error"]), (&"delayed".into(), &1.into(), &"not yet".into()));
    api.until_job(&held, "status", "active").await;
    assert_eq!(names(&all(&world, "/jobs?status=retrying").await), ["flaky"]);
    assert_eq!(names(&all(&world, "/jobs?status=active").await), ["hold"]);
    assert_eq!(names(&all(&world, "/jobs?status=pending").await), Vec::<&str>::new());
    drop(worker);
}

#[tokio::test]
async fn a_rare_name_among_many_jobs_is_found_over_short_pages() {
    let world = World::new().await;
    let mut jobs: Vec<Value> = (0..5000).map(|_| json!({"name": "common"})).collect();
    for at in [0, 2500, 4999] {
        jobs[at] = json!({"name": "rare"});
    }
    for chunk in jobs.chunks(1000) {
        world.dispatcher.add("q", json!(chunk)).await;
    }
    let first = world.dispatcher.read("/jobs?name=rare").await;
    assert_eq!(first["jobs"].as_array().unwrap().len(), 1);
    assert!(first["nextCursor"].is_string());
    assert_eq!(all(&world, "/jobs?name=rare").await.len(), 3);
    assert_eq!(all(&world, "/jobs?name=rare&limit=1").await.len(), 3);
}

#[tokio::test]
async fn the_summary_counts_what_is_there() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    api.add("q", json!([{"name": "echo"}, {"name": "echo", "opts": {"removeOnComplete": true}}, {"name": "fail"}]))
        .await;
    let held = api.add_one("q", "hold", json!({})).await;
    api.until_job(&held, "status", "active").await;
    world.until_recorded(3).await;
    api.add("idle", json!([{"name": "echo"}, {"name": "echo", "opts": {"delay": 99_999}}])).await;
    assert_eq!(
        api.read("/scheduler/status").await,
        json!({"running": true, "intervalSeconds": 0.1, "totalJobs": 6, "pendingJobs": 2, "runningJobs": 1,
            "completedJobs": 2, "failedJobs": 1})
    );
    drop(worker);
}
