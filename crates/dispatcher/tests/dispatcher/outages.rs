//! Redis or the database goes away under the API.

use operator_testkit::RedisServer;
use operator_testkit::postgres::PostgresServer;
use serde_json::{Value, json};

use crate::harness::{Running, World};

#[tokio::test]
async fn without_redis_every_route_of_it_says_so_and_works_again_afterwards() {
    let mut redis = RedisServer::builder().durable().start().await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("history.db").display());
    let api = Running::start(&redis.url(), &database, &[]).await;
    api.add_one("q", "echo", json!({"jobId": "first"})).await;
    redis.kill();
    let add = api.post("/queues/q/jobs", json!({"name": "echo", "opts": {"jobId": "second"}})).await;
    assert_eq!(add.problem(), (503, "redis_unavailable".to_owned()));
    assert!(add.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    let asked = [
        ("GET", "/queues"),
        ("GET", "/queue-status"),
        ("GET", "/jobs"),
        ("GET", "/jobs/first"),
        ("POST", "/jobs/first/execute"),
        ("POST", "/queues/q/pause"),
        ("DELETE", "/queues/q/jobs/first"),
        ("GET", "/scheduler/status"),
    ];
    let answers = asked.map(|(method, path)| async move { (path, method) });
    let asked = futures::future::join_all(answers.into_iter().map(|route| async {
        let (path, method) = route.await;
        (path, api.request(method, path).send().await)
    }));
    for (path, answer) in asked.await {
        assert_eq!(answer.problem(), (503, "redis_unavailable".to_owned()), "{path}");
    }
    let ready = api.get("/ready").await;
    assert_eq!((ready.status, &ready.json()["checks"]["database"]), (503, &"ok".into()));
    assert_eq!(api.get("/health").await.status, 200);

    redis.restart().await;
    api.until("/ready", |answer| (answer.status == 200).then_some(())).await;
    let queue = api.read("/queues/q").await;
    assert_eq!((&queue["counts"]["waiting"], &queue["paused"]), (&1.into(), &false.into()));
    assert_eq!(api.get("/jobs/second").await.status, 404);
    api.add_one("q", "echo", json!({})).await;
}

#[tokio::test]
async fn a_redis_without_memory_refuses_jobs_and_says_why() {
    let world = World::new().await;
    let client = world.redis.client().await;
    world.dispatcher.add_one("q", "echo", json!({})).await;
    client.call(&["CONFIG", "SET", "maxmemory", "1"]).await.ok();
    let answer = world.dispatcher.post("/queues/q/jobs", json!({"name": "echo"})).await;
    assert_eq!(answer.problem(), (503, "redis_full".to_owned()));
    client.call(&["CONFIG", "SET", "maxmemory", "0"]).await.ok();
    world.dispatcher.add_one("q", "echo", json!({})).await;
    assert_eq!(world.dispatcher.read("/queues/q").await["counts"]["waiting"], 2);
}

#[tokio::test]
async fn without_the_database_the_queues_work_and_the_history_says_so() {
    let redis = RedisServer::start().await;
    let mut postgres = PostgresServer::start();
    let api = Running::start(&redis.url(), &postgres.new_database(), &[]).await;
    postgres.kill();
    let id = api.add_one("q", "echo", json!({})).await;
    assert_eq!(api.read(&format!("/jobs/{id}")).await["state"], "waiting");
    assert_eq!(api.read("/jobs?status=pending").await["jobs"].as_array().unwrap().len(), 1);
    for path in ["/jobs/none", "/jobs?status=failed", "/jobs", "/scheduler/status"] {
        let answer = api.get(path).await;
        assert_eq!(answer.problem(), (503, "database_unavailable".to_owned()), "{path}");
        assert!(answer.header("retry-after").is_some());
    }
    let ready = api.get("/ready").await;
    assert_eq!((ready.status, &ready.json()["checks"]["redis"]), (503, &Value::from("ok")));
    postgres.restart();
    api.until("/jobs", |answer| (answer.status == 200).then_some(())).await;
    assert_eq!(api.get("/jobs/none").await.status, 404);
}
