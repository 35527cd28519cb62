//! Queues: counts, workers, pausing, and lists by state.

use operator_testkit::{BullMq, NodePeer};
use serde_json::{Value, json};

use crate::harness::World;
use crate::worker;

#[tokio::test]
async fn a_queue_is_shown_with_its_counts_workers_and_backlog() {
    let world = World::new().await;
    let api = &world.dispatcher;
    api.add(
        "mail",
        json!([
            {"name": "echo"},
            {"name": "echo", "opts": {"priority": 3}},
            {"name": "echo", "opts": {"delay": 3_600_000}},
            {"name": "echo", "opts": {"delay": 3_600_000}},
        ]),
    )
    .await;
    let queue = api.read("/queues/mail").await;
    let counts = json!({"waiting": 1, "active": 0, "completed": 0, "failed": 0, "delayed": 2, "prioritized": 1,
        "waiting-children": 0});
    assert_eq!((&queue["name"], &queue["paused"], &queue["counts"]), (&"mail".into(), &false.into(), &counts));
    assert_eq!((&queue["workers"], &queue["historyBacklog"]), (&json!([]), &0.into()));
    assert!(queue["oldestWaitingAgeMs"].is_u64(), "{queue}");

    let short = json!({"queues": [{"name": "mail", "paused": false, "counts": counts}]});
    assert_eq!(api.read("/queues").await, short);
    let all = api.read("/queue-status").await;
    assert_eq!((&all["queues"][0]["name"], &all["queues"][0]["counts"]), (&"mail".into(), &counts));
    assert!(all["timestamp"].as_str().unwrap().ends_with('Z'));

    let worker = worker::start(&world.redis.url(), &["mail"]).await;
    let workers = api.until("/queues/mail", |answer| {
        let workers = answer.json()["workers"].clone();
        (workers.as_array().unwrap().len() == 1).then_some(workers)
    });
    assert_eq!(workers.await[0]["name"], "tester");
    worker::stop(worker).await;
}

#[tokio::test]
async fn the_workers_of_all_queues_are_asked_for_at_once() {
    let world = World::new().await;
    let api = &world.dispatcher;
    for queue in ["a", "b", "c", "d"] {
        api.add_one(queue, "echo", json!({})).await;
    }
    let worker = worker::start(&world.redis.url(), &["b"]).await;
    let raw = world.redis.client().await;
    for (path, reads) in [("/queue-status", 1), ("/metrics", 1)] {
        raw.reset_stats().await;
        assert_eq!(api.get(path).await.status, 200);
        assert_eq!(raw.command_stats().await["client|list"], reads, "{path}");
    }
    let all = api.read("/queue-status").await;
    let workers = |at: usize| all["queues"][at]["workers"].as_array().unwrap().len();
    assert_eq!((workers(0), workers(1)), (0, 1));
    worker::stop(worker).await;
}

#[tokio::test]
async fn a_queue_that_only_bullmq_knows_is_found() {
    let world = World::new().await;
    let node = NodePeer::bullmq(BullMq::V6, &world.redis.url(), "bull").await;
    node.call("add", json!({"queue": "theirs", "name": "a"})).await;
    let queue = world.dispatcher.read("/queues/theirs").await;
    assert_eq!(queue["counts"]["waiting"], 1);
    // The next dispatcher finds it at its start.
    let another = world.another().await;
    another.until("/queues", |answer| (answer.json()["queues"][0]["name"] == "theirs").then_some(())).await;
}

#[tokio::test]
async fn a_paused_queue_keeps_its_jobs_until_it_is_resumed() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let first = api.add_one("q", "echo", json!({})).await;
    let answer = api.post("/queues/q/pause", Value::Null).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"name": "q", "paused": true})));
    assert_eq!(api.post("/queues/q/pause", Value::Null).await.status, 200);
    assert_eq!(api.read("/queues/q").await["paused"], true);
    let worker = worker::start(&world.redis.url(), &["q", "other"]).await;
    let other = api.add_one("other", "echo", json!({})).await;
    api.until_job(&other, "status", "completed").await;
    assert_eq!(api.read(&format!("/jobs/{first}")).await["state"], "waiting");
    let answer = api.post("/queues/q/resume", Value::Null).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"name": "q", "paused": false})));
    api.until_job(&first, "status", "completed").await;
    worker::stop(worker).await;
}

/// The names of the jobs on every page, and how many pages there were.
async fn pages(world: &World, path: &str) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = world.dispatcher.read(&format!("{path}{cursor}")).await;
        pages += 1;
        names.extend(page["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (names, pages),
        }
    }
}

#[tokio::test]
async fn waiting_jobs_are_listed_in_the_order_in_which_they_will_run() {
    let world = World::new().await;
    let jobs: Vec<Value> = (0..7).map(|n| json!({"name": format!("n{n}")})).collect();
    world.dispatcher.add("q", json!(jobs)).await;
    let expected: Vec<String> = (0..7).map(|n| format!("n{n}")).collect();
    assert_eq!(pages(&world, "/queues/q/jobs?state=waiting&limit=3").await, (expected.clone(), 3));
    let reversed: Vec<String> = expected.iter().rev().cloned().collect();
    assert_eq!(pages(&world, "/queues/q/jobs?order=desc&limit=3").await, (reversed, 3));
    assert_eq!(pages(&world, "/queues/q/jobs?limit=7").await, (expected.clone(), 1));
    assert_eq!(pages(&world, "/queues/q/jobs?state=wait&limit=200").await, (expected, 1));
    let delayed: Vec<Value> = (0..3).map(|n| json!({"name": format!("d{n}"), "opts": {"delay": 99_000 - n}})).collect();
    world.dispatcher.add("q", json!(delayed)).await;
    assert_eq!(pages(&world, "/queues/q/jobs?state=delayed&limit=2").await.0, ["d2", "d1", "d0"]);
    assert_eq!(pages(&world, "/queues/q/jobs?state=active&limit=2").await, (vec![], 1));
}

#[tokio::test]
async fn finished_jobs_are_listed_newest_first() {
    let world = World::new().await;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    for name in ["one", "two", "three"] {
        let id = world.dispatcher.add_one("q", name, json!({})).await;
        let done = world.dispatcher.until_job(&id, "status", "completed").await;
        // The order within one millisecond is by id.
        let finished = done["finishedAt"].as_str().unwrap().to_owned();
        operator_testkit::eventually("the next millisecond", async || {
            (operator_core::time::iso(operator_queue::now_ms()) > finished).then_some(())
        })
        .await;
    }
    assert_eq!(
        pages(&world, "/queues/q/jobs?state=completed&limit=2").await,
        (["three", "two", "one"].map(str::to_owned).to_vec(), 2)
    );
    worker::stop(worker).await;
}

#[tokio::test]
async fn what_else_there_is_to_know_of_a_queue_is_shown() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let with = |opts: Value| json!({"name": "echo", "opts": opts});
    let jobs = [
        json!({}),
        json!({"priority": 1}),
        json!({"priority": "high"}),
        json!({"priority": 10}),
        json!({"priority": 7}),
    ];
    api.add("q", json!(jobs.map(with))).await;
    let counts = api.read("/queues/q/priorities").await["counts"].clone();
    assert_eq!(counts, json!({"0": 1, "1": 1, "10": 2, "100": 0, "1000": 0}));
    assert_eq!(api.read("/queues/q/priorities?priorities=7,%208").await["counts"], json!({"7": 1, "8": 0}));
    let none = json!({"total": 0, "closedAt": null, "points": [], "kept": 0});
    assert_eq!(api.read("/queues/q/metrics?minutes=5").await, json!({"completed": none, "failed": none}));
    assert_eq!(api.read("/queues/q/workers").await, json!({"workers": []}));
    let meta = api.read("/queues/q/meta").await;
    assert_eq!(
        (&meta["paused"], &meta["maxEvents"], &meta["concurrency"]),
        (&false.into(), &10_000.into(), &Value::Null)
    );
    assert!(meta["version"].as_str().unwrap().starts_with("bullmq:"), "{meta}");
    for (path, field) in [
        ("priorities?priorities=", "priorities"),
        ("priorities?priorities=1,-1", "priorities"),
        ("priorities?priorities=2097152", "priorities"),
        ("metrics?minutes=0", "minutes"),
        ("jobs?order=up", "order"),
    ] {
        let answer = api.get(&format!("/queues/q/{path}")).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{path}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{path}");
    }
    for path in ["priorities", "metrics", "workers", "meta", "limits", "schedulers"] {
        let answer = api.get(&format!("/queues/none/{path}")).await;
        assert_eq!(answer.problem(), (404, "queue_not_found".to_owned()), "{path}");
    }
}
