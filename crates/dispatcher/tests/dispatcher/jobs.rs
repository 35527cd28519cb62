//! Jobs from their acceptance to their end, one by one.

use serde_json::{Value, json};

use crate::harness::World;
use crate::worker;

#[tokio::test]
async fn a_job_is_accepted_runs_and_is_shown_the_same_in_its_queue_and_by_its_id() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let body = json!({"name": "echo", "data": {"b": 1, "a": [true, null]}, "opts": {"attempts": 3, "keepLogs": 7}});
    let answer = api.post("/queues/mail/jobs", body).await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["ids"][0].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/queues/mail/jobs/{id}").as_str()));

    let waiting = api.read(&format!("/queues/mail/jobs/{id}")).await;
    assert_eq!((&waiting["state"], &waiting["status"]), (&json!("waiting"), &json!("pending")));
    assert_eq!(waiting["opts"], json!({"attempts": 3, "keepLogs": 7}));
    assert_eq!((&waiting["processedAt"], &waiting["result"]), (&Value::Null, &Value::Null));
    assert_eq!(api.read(&format!("/jobs/{id}")).await, waiting);

    let worker = worker::start(&world.redis.url(), &["mail"]).await;
    let done = api.until_job(&id, "status", "completed").await;
    assert_eq!(done["result"], json!({"b": 1, "a": [true, null]}));
    assert_eq!((&done["source"], &done["processedBy"]), (&json!("queue"), &json!("tester")));
    assert_eq!(
        (&done["attemptsMade"], &done["attemptsStarted"], &done["stalledCount"]),
        (&1.into(), &1.into(), &0.into())
    );
    for time in ["createdAt", "processedAt", "finishedAt"] {
        let text = done[time].as_str().unwrap();
        assert!(text.ends_with('Z') && text.len() == "2023-11-14T22:13:20.000Z".len(), "{time}: {text}");
    }
    worker::stop(worker).await;
}

#[tokio::test]
async fn data_goes_through_byte_for_byte() {
    let world = World::new().await;
    let data = r#"{"z":1.50,"a":12345678901234567890,"é":"\u0000","nested":[[[]]]}"#;
    let request =
        world.dispatcher.request("POST", "/queues/q/jobs").json(format!(r#"{{"name":"echo","data":{data}}}"#));
    let id = request.send().await.json()["ids"][0].as_str().unwrap().to_owned();
    let shown = world.dispatcher.get(&format!("/jobs/{id}")).await.text();
    assert!(shown.contains(data), "{shown}");
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    world.dispatcher.until_job(&id, "status", "completed").await;
    let records = world.until_recorded(1).await;
    assert_eq!(records[0].data.as_str(), data);
    worker::stop(worker).await;
}

#[tokio::test]
async fn a_list_gives_one_id_per_job_in_order() {
    let world = World::new().await;
    let jobs: Vec<Value> = (0..250).map(|n| json!({"name": "echo", "opts": {"jobId": format!("job-{n}")}})).collect();
    let answer = world.dispatcher.post("/queues/q/jobs", json!(jobs)).await;
    let expected: Vec<String> = (0..250).map(|n| format!("job-{n}")).collect();
    assert_eq!((answer.status, &answer.json()["ids"]), (202, &json!(expected)));
    assert_eq!(answer.header("location"), None);
    assert_eq!(world.dispatcher.add("q", json!([])).await.len(), 0);
    // An id that is still in the queue is not added again.
    world.dispatcher.add_one("q", "other", json!({"jobId": "job-7"})).await;
    assert_eq!(world.dispatcher.read("/queues/q").await["counts"]["waiting"], 250);
    assert_eq!(world.dispatcher.read("/jobs/job-7").await["name"], "echo");
}

#[tokio::test]
async fn a_job_that_was_removed_on_completion_is_answered_from_the_history() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let id = api.add_one("q", "echo", json!({"removeOnComplete": true, "priority": "high"})).await;
    let failed = api.add_one("q", "fail", json!({"removeOnFail": true})).await;
    let done = api.until_job(&id, "source", "history").await;
    assert_eq!(
        (&done["state"], &done["status"], &done["result"]),
        (&"completed".into(), &"completed".into(), &json!({"n": 1}))
    );
    assert_eq!((&done["priority"], &done["processedBy"]), (&10.into(), &"tester".into()));
    let failed = api.until_job(&failed, "source", "history").await;
    assert_eq!((&failed["status"], &failed["error"]), (&"failed".into(), &"it cannot work".into()));
    assert!(failed["stacktrace"][0].as_str().unwrap().contains("here"), "{failed}");
    assert_eq!(api.get(&format!("/queues/q/jobs/{id}")).await.problem(), (404, "job_not_found".to_owned()));
    worker::stop(worker).await;
}

#[tokio::test]
async fn a_delayed_job_is_promoted_and_a_waiting_one_is_not() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let id = api.add_one("q", "echo", json!({"delay": 3_600_000})).await;
    let job = api.read(&format!("/jobs/{id}")).await;
    assert_eq!(
        (&job["state"], &job["status"], &job["delay"]),
        (&"delayed".into(), &"pending".into(), &3_600_000.into())
    );
    let answer = api.post(&format!("/queues/q/jobs/{id}/promote"), Value::Null).await;
    assert_eq!((answer.status, answer.json()), (202, json!({"id": id, "queue": "q"})));
    assert_eq!(answer.header("location"), Some(format!("/queues/q/jobs/{id}").as_str()));
    assert_eq!(api.read(&format!("/jobs/{id}")).await["state"], "waiting");
    let again = api.post(&format!("/queues/q/jobs/{id}/promote"), Value::Null).await;
    assert_eq!(again.problem(), (409, "job_state".to_owned()));
}

#[tokio::test]
async fn a_finished_job_is_retried_with_all_its_attempts_and_a_waiting_one_is_not() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let id = api.add_one("q", "fail", json!({"attempts": 2})).await;
    api.until_job(&id, "status", "failed").await;
    worker::stop(worker).await;
    assert_eq!(api.post(&format!("/queues/q/jobs/{id}/retry"), Value::Null).await.status, 202);
    let job = api.read(&format!("/queues/q/jobs/{id}")).await;
    assert_eq!((&job["state"], &job["attemptsMade"], &job["error"]), (&"waiting".into(), &0.into(), &Value::Null));
    let again = api.post(&format!("/queues/q/jobs/{id}/retry"), Value::Null).await;
    assert_eq!(again.problem(), (409, "job_state".to_owned()));
}

#[tokio::test]
async fn a_job_is_removed_unless_a_worker_holds_it() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let id = api.add_one("q", "echo", json!({})).await;
    let path = format!("/queues/q/jobs/{id}");
    let answer = api.request("DELETE", &path).send().await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(api.request("DELETE", &path).send().await.problem(), (404, "job_not_found".to_owned()));

    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let held = api.add_one("q", "hold", json!({})).await;
    api.until_job(&held, "status", "active").await;
    let refused = api.request("DELETE", &format!("/queues/q/jobs/{held}")).send().await;
    assert_eq!(refused.problem(), (409, "job_held".to_owned()));
    let refused = api.post(&format!("/jobs/{held}/execute"), Value::Null).await;
    assert_eq!(refused.problem(), (409, "job_state".to_owned()));
    drop(worker);
}

#[tokio::test]
async fn a_log_is_read_in_pages() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let id = api.add_one("q", "log", json!({})).await;
    api.until_job(&id, "status", "completed").await;
    let path = format!("/queues/q/jobs/{id}/logs");
    let page = api.read(&format!("{path}?limit=2")).await;
    assert_eq!((&page["lines"], &page["total"]), (&json!(["one", "two"]), &3.into()));
    let cursor = page["nextCursor"].as_str().unwrap();
    let page = api.read(&format!("{path}?limit=2&cursor={cursor}")).await;
    assert_eq!((&page["lines"], &page["nextCursor"]), (&json!(["three"]), &Value::Null));
    assert_eq!(api.get("/queues/q/jobs/none/logs").await.problem(), (404, "job_not_found".to_owned()));
    worker::stop(worker).await;
}

#[tokio::test]
async fn execute_runs_a_job_now_wherever_it_is() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let execute = async |id: &str| api.post(&format!("/jobs/{id}/execute"), Value::Null).await;

    let delayed = api.add_one("q", "echo", json!({"delay": 3_600_000})).await;
    assert_eq!(execute(&delayed).await.status, 202);
    assert_eq!(api.read(&format!("/jobs/{delayed}")).await["state"], "waiting");
    assert_eq!(execute(&delayed).await.status, 202);
    assert_eq!(api.read("/queues/q").await["counts"]["waiting"], 1);

    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let first = api.until_job(&delayed, "status", "completed").await;
    let answer = execute(&delayed).await;
    assert_eq!(answer.header("location"), Some(format!("/jobs/{delayed}").as_str()));
    let finished = async || {
        let job = api.read(&format!("/jobs/{delayed}")).await;
        (job["status"] == "completed" && job["finishedAt"] != first["finishedAt"]).then_some(())
    };
    operator_testkit::eventually("the second run", finished).await;

    let gone = api.add_one("q", "echo", json!({"removeOnComplete": true, "attempts": 4, "delay": 1})).await;
    let before = api.until_job(&gone, "source", "history").await;
    assert_eq!(execute(&gone).await.json(), json!({"id": gone, "queue": "q"}));
    let records = world.until_recorded(4).await;
    let of_it: Vec<_> = records.iter().filter(|record| record.id == gone).collect();
    assert_eq!(of_it.len(), 2, "{of_it:?}");
    assert!(of_it.iter().all(|record| record.opts.as_str().contains(r#""attempts":4"#)), "{of_it:?}");
    assert_eq!(before["result"], json!({"n": 1}));

    assert_eq!(execute("none").await.problem(), (404, "job_not_found".to_owned()));
    worker::stop(worker).await;
}

#[tokio::test]
async fn an_id_with_any_characters_finds_its_job() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let answer = api.post("/queues/q/jobs", json!({"name": "echo", "opts": {"jobId": "a/é ?#:b:c%"}})).await;
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(location, "/queues/q/jobs/a%2F%C3%A9%20%3F%23%3Ab%3Ac%25");
    assert_eq!(api.read(&location).await["id"], "a/é ?#:b:c%");
    assert_eq!(api.request("DELETE", &location).send().await.status, 204);
}

#[tokio::test]
async fn an_id_that_is_a_key_of_the_queue_is_no_job() {
    let world = World::new().await;
    let api = &world.dispatcher;
    api.add(
        "q",
        json!([{"name": "a"}, {"name": "b", "opts": {"priority": 5}}, {"name": "c", "opts": {"delay": 99999}}]),
    )
    .await;
    api.add_one("q", "a", json!({"jobId": "with-log"})).await;
    world.queue("q").await.add_logs("with-log", &["x".to_owned()], None).await.unwrap();
    let scheduler = json!({"repeat": {"every": 3_600_000}});
    assert_eq!(api.request("PUT", "/queues/q/schedulers/nightly").json(&scheduler).send().await.status, 200);
    let ids = [
        "repeat:nightly",
        "metrics:completed",
        "wait",
        "meta",
        "events",
        "prioritized",
        "delayed",
        "pc",
        "marker",
        "with-log:logs",
        "operator:history",
    ];
    for id in ids {
        for (method, path) in [
            ("GET", format!("/queues/q/jobs/{id}")),
            ("DELETE", format!("/queues/q/jobs/{id}")),
            ("GET", format!("/queues/q/jobs/{id}/state")),
            ("GET", format!("/queues/q/jobs/{id}/wait?timeout=100")),
            ("GET", format!("/queues/q/jobs/{id}/flow")),
            ("GET", format!("/queues/q/jobs/{id}/dependencies")),
            ("GET", format!("/queues/q/jobs/{id}/logs")),
            ("POST", format!("/queues/q/jobs/{id}/retry")),
            ("POST", format!("/queues/q/jobs/{id}/promote")),
            ("GET", format!("/jobs/{id}")),
            ("POST", format!("/jobs/{id}/execute")),
        ] {
            let answer = api.request(method, &path).send().await;
            assert_eq!(answer.problem(), (404, "job_not_found".to_owned()), "{method} {path}");
        }
    }
    // Two that were added, and the scheduler's first.
    assert_eq!(api.read("/queues/q").await["counts"]["waiting"], 3);
    assert_eq!(api.read("/queues/q/schedulers/nightly").await["repeat"]["every"], 3_600_000);
}
