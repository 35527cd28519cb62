//! Flows: trees of jobs that are added whole or not at all, and jobs with parents and deduplication ids.

use serde_json::{Value, json};

use crate::harness::World;
use crate::worker;

async fn add_flow(world: &World, flow: Value) -> Value {
    let answer = world.dispatcher.post("/flows", flow).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_flow_is_added_whole_and_its_root_runs_after_its_children() {
    let world = World::new().await;
    let flow = json!({"name": "report", "queueName": "reports", "data": {"n": 1}, "children": [
        {"name": "fetch", "queue": "crawl", "data": 1, "opts": {"attempts": 2}},
        {"name": "fetch", "queueName": "crawl", "data": 2, "children": [{"name": "log", "queueName": "reports"}]},
    ]});
    let answer = world.dispatcher.post("/flows", flow).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let root = answer.json()["flows"][0].clone();
    let id = root["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(format!("/queues/reports/jobs/{id}/flow").as_str()));
    let shape = (&root["queue"], &root["children"][1]["queue"], &root["children"][1]["children"][0]["queue"]);
    assert_eq!(shape, (&"reports".into(), &"crawl".into(), &"reports".into()));
    assert_eq!(world.dispatcher.read(&format!("/jobs/{id}")).await["state"], "waiting-children");

    let worker = worker::start(&world.redis.url(), &["reports", "crawl"]).await;
    let done = world.dispatcher.until_job(id, "status", "completed").await;
    assert_eq!(done["result"], json!({"n": 1}));
    for child in root["children"].as_array().unwrap() {
        let child = world.dispatcher.read(&format!("/jobs/{}", child["id"].as_str().unwrap())).await;
        assert_eq!(child["status"], "completed");
        assert!(child["finishedAt"].as_str() <= done["processedAt"].as_str(), "{child} {done}");
    }
    worker::stop(worker).await;
}

#[tokio::test]
async fn a_list_of_flows_gives_one_tree_per_flow_in_order() {
    let world = World::new().await;
    let flow = |id: &str| json!({"name": "a", "queueName": "q", "opts": {"jobId": id}});
    let answer = world.dispatcher.post("/v1/flows", json!([flow("one"), flow("two")])).await;
    assert_eq!((answer.status, answer.header("location")), (202, None));
    let expected = json!([{"queue": "q", "id": "one", "children": []}, {"queue": "q", "id": "two", "children": []}]);
    assert_eq!(answer.json()["flows"], expected);
    assert_eq!(add_flow(&world, json!([])).await["flows"], json!([]));
    let single = world.dispatcher.post("/v1/flows", flow("three")).await;
    assert_eq!(single.header("location"), Some("/v1/queues/q/jobs/three/flow"));
}

#[tokio::test]
async fn a_flow_that_cannot_be_used_is_named_and_none_of_it_is_added() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let leaf = json!({"name": "a", "queueName": "q"});
    let large = "x".repeat(10 * 1024 * 1024);
    let with = |child: Value| json!([leaf, {"name": "r", "queueName": "q", "opts": {"jobId": "r"}, "children": [leaf, child]}]);
    for (child, status, code, field) in [
        (json!({"name": "a"}), 422, "invalid_job", "[1].children[1]"),
        (json!({"name": "a", "queueName": "no:colon"}), 422, "invalid_job", "[1].children[1].queueName"),
        (
            json!({"name": "a", "queueName": "q", "opts": {"delay": -5}}),
            422,
            "invalid_job",
            "[1].children[1].opts.delay",
        ),
        (
            json!({"name": "a", "queueName": "q", "opts": {"priority": 2_097_152}}),
            422,
            "invalid_job",
            "[1].children[1].opts.priority",
        ),
        (
            json!({"name": "a", "queueName": "q", "opts": {"failParentOnFailure": true, "removeDependencyOnFailure": true}}),
            422,
            "invalid_job",
            "[1].children[1].opts",
        ),
        (
            json!({"name": "a", "queueName": "p", "children": [{"name": "b", "queueName": "q", "opts": {"jobId": "r"}}]}),
            422,
            "invalid_job",
            "[1].children[1].children[0].opts.jobId",
        ),
        (json!({"name": "a", "queueName": "q", "data": large}), 413, "data_too_large", "[1].children[1].data"),
    ] {
        let answer = api.post("/flows", with(child)).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{field}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{}", answer.text());
    }
    let gone = json!({"name": "a", "queueName": "q", "opts": {"parent": {"id": "none", "queue": "bull:q"}}});
    let answer = api.post("/flows", gone).await;
    assert_eq!(answer.problem(), (422, "invalid_job".to_owned()));
    assert_eq!(answer.json()["errors"][0]["field"], "opts.parent");
    let bytes = b"{\"name\":\"a\",\"queueName\":\"\xff\"}".to_vec();
    let answer = api.request("POST", "/flows").json("").raw(bytes).send().await;
    assert_eq!(answer.problem(), (400, "invalid_json".to_owned()));
    let keys = world.redis.client().await.call(&["KEYS", "bull:*"]).await.texts();
    let of_jobs: Vec<_> = keys.iter().filter(|key| !key.ends_with(":meta") && !key.contains("operator")).collect();
    assert!(of_jobs.is_empty(), "{of_jobs:?}");
}

#[tokio::test]
async fn a_job_that_another_stands_for_is_told_with_that_jobs_id() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let opts = json!({"deduplication": {"id": "daily", "ttl": 600_000}});
    let first = api.add_one("q", "a", opts.clone()).await;
    let list = json!([{"name": "new"}, {"name": "a", "opts": opts}, {"name": "b", "opts": {"jobId": first}}]);
    let answer = api.post("/queues/q/jobs", list).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let answer = answer.json();
    assert_eq!((&answer["ids"][1], &answer["existing"]), (&json!(first), &json!([1, 2])));
    let alone = api.post("/queues/q/jobs", json!({"name": "a", "opts": opts})).await;
    assert_eq!(alone.header("location"), Some(format!("/queues/q/jobs/{first}").as_str()));
    assert_eq!(api.read("/queues/q").await["counts"]["waiting"], 2);
    let held = api.read("/queues/q/deduplication/daily").await;
    assert_eq!(held, json!({"id": "daily", "jobId": first}));
    for status in [204, 404] {
        assert_eq!(api.request("DELETE", "/queues/q/deduplication/daily").send().await.status, status);
    }
    let none = api.get("/queues/q/deduplication/daily").await;
    assert_eq!(none.problem(), (404, "deduplication_not_found".to_owned()));
    assert_ne!(api.add_one("q", "a", opts).await, first);
    let shown = api.read(&format!("/jobs/{first}")).await;
    assert_eq!(shown["opts"]["deduplication"], json!({"id": "daily", "ttl": 600_000}));
}

#[tokio::test]
async fn a_job_is_added_to_a_parent_that_waits_and_its_policies_hold() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let root = add_flow(
        &world,
        json!({"name": "echo", "queueName": "q", "children": [{"name": "hold", "queueName": "held"}]}),
    )
    .await["flows"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let parent = json!({"id": root, "queue": "bull:q"});
    let child = api.add_one("q", "fail", json!({"parent": parent, "failParentOnFailure": true})).await;
    let worker = worker::start(&world.redis.url(), &["q"]).await;
    let failed = api.until_job(&root, "status", "failed").await;
    assert!(failed["error"].as_str().unwrap().contains(&child), "{failed}");
    worker::stop(worker).await;
}

#[tokio::test]
async fn a_flow_is_shown_as_a_tree_and_its_children_with_what_became_of_them() {
    let world = World::new().await;
    let api = &world.dispatcher;
    let child = |name: &str| json!({"name": name, "queueName": "work", "data": name, "opts": {"ignoreDependencyOnFailure": true}});
    let flow = json!({"name": "root", "queueName": "q", "opts": {"jobId": "r"}, "children": [
        child("echo"), child("fail"),
        {"name": "mid", "queueName": "later", "opts": {"jobId": "m"}, "children": [{"name": "leaf", "queueName": "later"}]},
    ]});
    add_flow(&world, flow).await;
    let worker = worker::start(&world.redis.url(), &["work"]).await;
    let settled = |answer: &crate::http::Answer| {
        let counts = answer.json()["counts"].clone();
        (counts == json!({"processed": 1, "unprocessed": 1, "ignored": 1, "failed": 0})).then_some(())
    };
    api.until("/queues/q/jobs/r/dependencies", settled).await;
    worker::stop(worker).await;

    let waits_for = api.read("/queues/q/jobs/r/dependencies").await;
    assert_eq!(waits_for["dependencies"], json!([{"queue": "later", "id": "m", "value": null, "error": null}]));
    let processed = api.read("/queues/q/jobs/r/dependencies?kind=processed").await;
    assert_eq!((&processed["dependencies"][0]["value"], &processed["nextCursor"]), (&json!("echo"), &Value::Null));
    let ignored = api.read("/queues/q/jobs/r/dependencies?kind=ignored").await;
    assert_eq!(ignored["dependencies"][0]["error"], "it cannot work");

    let tree = api.read("/queues/q/jobs/r/flow").await;
    assert_eq!((&tree["queue"], &tree["id"], &tree["state"]), (&"q".into(), &"r".into(), &"waiting-children".into()));
    let children: Vec<(&str, &str)> = tree["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|child| (child["name"].as_str().unwrap(), child["state"].as_str().unwrap()))
        .collect();
    assert_eq!(children, [("echo", "completed"), ("mid", "waiting-children"), ("fail", "failed")]);
    assert_eq!(tree["children"][1]["children"][0]["name"], "leaf");
    let shallow = api.read("/queues/q/jobs/r/flow?depth=2&maxChildren=2").await;
    assert_eq!((&shallow["hasMore"], shallow["children"].as_array().unwrap().len()), (&true.into(), 2));
    assert_eq!(shallow["children"][1]["hasMore"], true);

    for (path, field) in
        [("flow?depth=0", "depth"), ("flow?maxChildren=x", "maxChildren"), ("dependencies?kind=x", "kind")]
    {
        let answer = api.get(&format!("/queues/q/jobs/r/{path}")).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{path}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{path}");
    }
    for path in ["/queues/q/jobs/none/flow", "/queues/q/jobs/none/dependencies"] {
        assert_eq!(api.get(path).await.problem(), (404, "job_not_found".to_owned()), "{path}");
    }
}
