//! What workers run, as the API shows it and as it meets new jobs.

use operator_core::pack::{Advert, JobTypeInfo, PackInfo};
use operator_core::{Json, QueueName};
use operator_queue::catalogue::{AdvertiseOptions, Advertisement};
use operator_queue::{Redis, RedisConfig};
use serde_json::{Value, json};

use crate::harness::World;

/// A live worker with the job type `ship.order` in a version of the pack `ship`.
async fn worker(world: &World, name: &str, version: &str) -> Advertisement {
    publish(world, name, "ship", version).await
}

/// A live worker with that job type in a version of a pack.
pub(crate) async fn publish(world: &World, name: &str, pack: &str, version: &str) -> Advertisement {
    let redis = Redis::connect(&RedisConfig::new(world.redis.url())).await.unwrap();
    let input = json!({
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": {"id": {"type": "string"}, "items": {"type": "array", "items": {"type": "integer"}}},
    });
    let defaults = json!({"attempts": 4, "priority": "low", "backoff": 500, "removeOnFail": 7});
    let info = JobTypeInfo {
        description: "Ships an order.".to_owned(),
        input: Some(Json::from(input)),
        defaults: serde_json::from_value(defaults).unwrap(),
        ..JobTypeInfo::default()
    };
    let pack = json!({"id": pack, "version": version, "name": "Shipping", "dependsOn": ["base *"]});
    let mut pack: PackInfo = serde_json::from_value(pack).unwrap();
    pack.job_types.insert("ship.order".to_owned(), info);
    let advert = Advert {
        id: name.to_owned(),
        name: name.to_owned(),
        queues: vec![QueueName::new("q").unwrap()],
        packs: vec![pack],
        job_types: vec!["bare".to_owned()],
        any_name: false,
        started_ms: 1,
    };
    Advertisement::publish(&redis, advert, AdvertiseOptions::default()).await.unwrap()
}

fn order(data: Value) -> Value {
    json!({"name": "ship.order", "data": data})
}

fn fields(answer: &Value) -> Vec<&str> {
    answer["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn packs_and_job_types_are_shown_with_their_workers_and_remembered_without() {
    let world = World::new().await;
    let api = &world.dispatcher;
    assert_eq!(api.read("/packs").await, json!({"packs": []}));
    assert_eq!(api.get("/packs/ship").await.problem(), (404, "pack_not_found".to_owned()));
    let old = worker(&world, "a", "1.9.0").await;
    let new = worker(&world, "b", "1.10.0").await;

    let packs = api.read("/packs").await;
    assert_eq!(packs["packs"][0]["version"], "1.9.0");
    assert_eq!(packs["packs"][1]["workers"], json!(["b"]));
    assert_eq!(packs["packs"][1]["queues"], json!(["q"]));
    let pack = api.read("/v1/packs/ship").await;
    assert_eq!((&pack["versions"][0]["version"], &pack["versions"][1]["version"]), (&json!("1.10.0"), &json!("1.9.0")));
    assert_eq!(pack["jobTypes"][0]["input"]["required"], json!(["id"]));
    assert_eq!(pack["jobTypes"][0]["version"], "1.10.0");

    old.withdraw().await.unwrap();
    new.withdraw().await.unwrap();
    assert_eq!(api.read("/packs").await, json!({"packs": []}));
    let page = api.read("/job-types?limit=1").await;
    assert_eq!((&page["total"], &page["jobTypes"][0]["name"]), (&json!(2), &json!("bare")));
    let next = api.read(&format!("/job-types?cursor={}", page["nextCursor"].as_str().unwrap())).await;
    assert_eq!((&next["jobTypes"][0]["name"], &next["jobTypes"][0]["workers"]), (&json!("ship.order"), &json!(0)));
    assert_eq!(next["jobTypes"][0]["defaults"]["attempts"], 4);
    assert_eq!(next["nextCursor"], Value::Null);
}

#[tokio::test]
async fn data_that_does_not_fit_its_job_type_is_refused_with_its_place() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let _worker = worker(&world, "a", "1.0.0").await;
    let bad = json!([order(json!({"id": "x"})), order(json!({"id": 7, "items": [1, "two"], "note": 1}))]);
    let answer = api.post("/queues/q/jobs", bad).await;
    assert_eq!(answer.problem(), (422, "invalid_job".to_owned()));
    let problem = answer.json();
    let mut named = fields(&problem);
    named.sort_unstable();
    assert_eq!(named, ["[1].data.id", "[1].data.items[1]", "[1].data.note"]);
    assert!(answer.text().contains("/items/1: value is not of type"), "{}", answer.text());
    assert_eq!(api.get("/queues/q").await.status, 404, "all are added or none");

    let flow =
        json!({"name": "report", "queueName": "q", "children": [{"name": "ship.order", "queueName": "q", "data": {}}]});
    let answer = api.post("/flows", flow).await;
    assert_eq!((answer.problem().0, fields(&answer.json())), (422, vec!["children[0].data.id"]));

    let scheduler = json!({"repeat": {"every": 60000}, "template": {"name": "ship.order"}});
    let answer = api.request("PUT", "/queues/q/schedulers/s").json(&scheduler).send().await;
    assert_eq!((answer.problem().0, fields(&answer.json())), (422, vec!["template.data.id"]));
}

#[tokio::test]
async fn much_data_is_checked_like_little() {
    let world = World::new().await;
    let _worker = worker(&world, "a", "1.0.0").await;
    let mut items = vec![json!(1); 50_000];
    items.push(json!("last"));
    let answer = world.dispatcher.post("/queues/q/jobs", order(json!({"id": "x", "items": items}))).await;
    assert_eq!((answer.problem().0, fields(&answer.json())), (422, vec!["data.items[50000]"]));
}

#[tokio::test]
async fn a_job_gets_what_its_type_says_where_its_caller_says_nothing() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let _worker = worker(&world, "a", "1.0.0").await;
    let said = json!({"name": "ship.order", "data": {"id": "x"}, "opts": {"attempts": 1, "priority": "high"}});
    let ids = api.add("q", json!([order(json!({"id": "x"})), said])).await;
    let queue = world.queue("q").await;
    let silent = queue.job(&ids[0]).await.unwrap().unwrap();
    assert_eq!((silent.opts.attempts, silent.priority), (4, 1000));
    assert_eq!(silent.opts.backoff.unwrap().delay_ms, 500);
    let said = queue.job(&ids[1]).await.unwrap().unwrap();
    assert_eq!((said.opts.attempts, said.priority), (1, 10));
}

#[tokio::test]
async fn a_name_that_nobody_provided_is_let_in_with_a_word_or_refused() {
    let world = World::new().await;
    let jobs = json!([{"name": "bare"}, {"name": "no.body"}, {"name": "no.body"}]);
    let told = world.dispatcher.post("/queues/q/jobs", jobs.clone()).await;
    assert_eq!((told.status, &told.json()["unknown"]), (202, &json!(["bare", "no.body"])));

    let (redis, database) = (world.redis.url(), world.database.clone());
    let start =
        async |policy| crate::harness::Running::start(&redis, &database, &[("OPERATOR_UNKNOWN_JOBS", policy)]).await;
    let silent = start("allow").await.post("/queues/q/jobs", jobs.clone()).await;
    assert_eq!((silent.status, &silent.json()["unknown"]), (202, &Value::Null));

    let strict = start("refuse").await;
    let refused = strict.post("/queues/q/jobs", jobs.clone()).await;
    assert_eq!((refused.problem().0, fields(&refused.json())), (422, vec!["[0].name", "[1].name", "[2].name"]));
    let worker = worker(&world, "a", "1.0.0").await;
    let known = json!({"name": "bare"});
    operator_testkit::eventually("the name is known", async || {
        (strict.post("/queues/q/jobs", known.clone()).await.status == 202).then_some(())
    })
    .await;
    worker.withdraw().await.unwrap();
    assert_eq!(strict.post("/queues/q/jobs", known).await.status, 202, "somebody provided it once");
}

#[tokio::test]
async fn jobs_that_wait_for_nobody_are_named() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker(&world, "a", "1.0.0").await;
    api.add("q", json!([{"name": "x"}, {"name": "bare"}, {"name": "x", "opts": {"priority": 5}}, {"name": "y"}])).await;
    let read = api.read("/queues/q/unserved").await;
    assert_eq!((&read["looked"], &read["workers"]), (&json!(4), &json!(["a"])));
    let expected = json!([{"name": "x", "jobs": 2, "known": false}, {"name": "y", "jobs": 1, "known": false}]);
    assert_eq!(read["unserved"], expected);
    worker.withdraw().await.unwrap();
    let read = api.read("/queues/q/unserved?look=2").await;
    assert_eq!(read["workers"], json!([]));
    assert!(read["unserved"].as_array().unwrap().contains(&json!({"name": "bare", "jobs": 1, "known": true})));
    assert_eq!(api.get("/queues/q/unserved?look=0").await.problem(), (400, "invalid_request".to_owned()));
    assert_eq!(api.get("/queues/none/unserved").await.problem(), (404, "queue_not_found".to_owned()));
}
