//! Schedulers: made, shown, changed, ended, repaired.

use serde_json::{Value, json};

use crate::harness::World;
use crate::http::Answer;
use crate::worker;

async fn put(world: &World, id: &str, body: Value) -> Answer {
    world.dispatcher.request("PUT", &format!("/queues/q/schedulers/{id}")).json(body).send().await
}

#[tokio::test]
async fn a_scheduler_is_made_shown_changed_and_ended() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let template = json!({"name": "echo", "data": {"n": 1}, "opts": {"attempts": 3, "priority": 10}});
    let made = put(
        &world,
        "nightly",
        json!({"repeat": {"pattern": "0 3 * * *", "tz": "Europe/Berlin"}, "template": template}),
    );
    let made = made.await;
    assert_eq!(made.status, 200, "{}", made.text());
    let job = made.json()["nextJobId"].as_str().unwrap().to_owned();
    assert!(job.starts_with("repeat:nightly:") && made.json()["delay"].is_u64(), "{}", made.text());
    assert_eq!(api.read(&format!("/queues/q/jobs/{job}")).await["state"], "delayed");

    let shown = api.read("/queues/q/schedulers/nightly").await;
    assert_eq!(shown["repeat"], json!({"pattern": "0 3 * * *", "tz": "Europe/Berlin"}));
    assert_eq!(shown["template"], template);
    assert!(shown["nextAt"].as_str().unwrap().ends_with('Z'), "{shown}");
    // What is shown can be sent again, and changes nothing.
    let again = put(&world, "nightly", json!({"repeat": shown["repeat"], "template": shown["template"]})).await;
    assert_eq!(again.json()["nextJobId"], json!(job));
    assert_eq!(api.read("/queues/q").await["counts"]["delayed"], 1);

    assert_eq!(put(&world, "hourly", json!({"repeat": {"every": 3_600_000}})).await.status, 200);
    let page = api.read("/queues/q/schedulers?limit=1").await;
    assert_eq!((&page["total"], page["schedulers"].as_array().unwrap().len()), (&2.into(), 1));
    let next = page["nextCursor"].as_str().unwrap();
    let rest = api.read(&format!("/queues/q/schedulers?limit=1&cursor={next}")).await;
    assert_eq!((&rest["schedulers"][0]["id"], &rest["nextCursor"]), (&"nightly".into(), &Value::Null));
    assert_eq!(api.read("/queues/q/schedulers?order=desc").await["schedulers"][0]["id"], "nightly");

    for status in [204, 404] {
        let answer = api.request("DELETE", "/queues/q/schedulers/nightly").send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    assert_eq!(api.get("/queues/q/schedulers/nightly").await.problem(), (404, "scheduler_not_found".to_owned()));
    assert_eq!(api.read("/queues/q").await["counts"]["delayed"], 0);
}

#[tokio::test]
async fn a_scheduler_makes_one_job_after_the_other() {
    let world = World::new().await;
    let body = json!({"repeat": {"every": 100, "limit": 3}, "template": {"name": "echo"}});
    assert_eq!(put(&world, "fast", body).await.status, 200);
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let three = |answer: &Answer| (answer.json()["counts"]["completed"] == 3).then_some(());
    world.dispatcher.until("/queues/q", three).await;
    worker::stop(worker).await;
}

#[tokio::test]
async fn a_scheduler_whose_job_is_gone_is_repaired() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let made = put(&world, "s", json!({"repeat": {"every": 3_600_000}, "template": {"name": "echo"}})).await.json();
    let job = made["nextJobId"].as_str().unwrap().to_owned();
    assert_eq!(api.post("/queues/q/repair-schedulers", Value::Null).await.json(), json!({"repairs": []}));
    let client = world.redis.client().await;
    for key in ["wait", "delayed", job.as_str()] {
        client.call(&["DEL", &format!("bull:q:{key}")]).await;
    }
    let repaired = api.post("/queues/q/repair-schedulers", Value::Null).await;
    let repair = &repaired.json()["repairs"][0];
    assert_eq!((&repair["id"], &repair["found"], &repair["blocked"]), (&"s".into(), &"missing".into(), &Value::Null));
    let id = repair["made"].as_str().unwrap();
    assert_eq!(api.get(&format!("/queues/q/jobs/{id}")).await.status, 200);
}

#[tokio::test]
async fn a_schedule_that_cannot_be_followed_is_named_and_nothing_is_written() {
    let world = World::with(&[("OPERATOR_MAX_DATA_BYTES", "100")]).await;
    let every = json!({"every": 1000});
    for (body, status, code, field) in [
        (json!({"repeat": {}}), 422, "invalid_schedule", "repeat"),
        (json!({"repeat": {"every": 0}}), 422, "invalid_schedule", "repeat.every"),
        (json!({"repeat": {"every": -1}}), 422, "invalid_schedule", "repeat.every"),
        (json!({"repeat": {"every": 5, "pattern": "* * * * *"}}), 422, "invalid_schedule", "repeat"),
        (json!({"repeat": {"pattern": "61 * * * *"}}), 422, "invalid_schedule", "repeat.pattern"),
        (json!({"repeat": {"pattern": "0 0 30 2 *"}}), 422, "invalid_schedule", "repeat.pattern"),
        (json!({"repeat": {"pattern": "0 0 * * *", "tz": "Mars/Olympus"}}), 422, "invalid_schedule", "repeat.tz"),
        (json!({"repeat": {"every": 5, "endDate": 1}}), 422, "invalid_schedule", "repeat.endDate"),
        (json!({"repeat": {"every": 5, "startDate": "soon"}}), 422, "invalid_schedule", "repeat.startDate"),
        (json!({"repeat": {"every": 5, "cron": "x"}}), 422, "invalid_schedule", "repeat.cron"),
        (json!({"repeat": every, "template": {"opts": {"jobId": "a"}}}), 422, "invalid_schedule", "template.opts"),
        (json!({"repeat": every, "template": {"opts": {"delay": 5}}}), 422, "invalid_schedule", "template.opts"),
        (
            json!({"repeat": every, "template": {"opts": {"priority": -5}}}),
            422,
            "invalid_schedule",
            "template.opts.priority",
        ),
        (json!({"repeat": every, "template": {"data": "x".repeat(200)}}), 413, "data_too_large", "template.data"),
    ] {
        let answer = put(&world, "s", body.clone()).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{body}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}: {}", answer.text());
    }
    let keys = world.redis.client().await.call(&["KEYS", "bull:*"]).await.texts();
    assert!(keys.is_empty(), "{keys:?}");
}
