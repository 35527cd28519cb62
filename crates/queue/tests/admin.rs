//! Administration of single jobs beside BullMQ: the same operation leaves the same keys, but for the differences that are
//! declared here.

mod pair;

use std::time::Duration;

use operator_core::{JobState, Json, Priority};
use operator_queue::{QueueError, Refusal, RemoveOptions, RetryOptions};
use pair::queues::{finished, jobs_in_every_state, tree};
use pair::{Pair, quietly, refusal};
use serde_json::json;

const WITH_CHILDREN: RemoveOptions = RemoveOptions { children: true };
const WITHOUT_CHILDREN: RemoveOptions = RemoveOptions { children: false };

#[tokio::test]
async fn a_removed_job_leaves_what_bullmq_leaves() {
    let pair = Pair::start().await;
    jobs_in_every_state(&pair).await;
    pair.mirror().await;
    let queue = pair.queue("q");
    let jobs = ["waiting", "owner", "throttle", "late", "urgent", "good", "bad", "parent", "only", "nobody"];
    for id in jobs {
        assert_eq!(pair.their_queue("remove", json!([id])).await, 1);
        let outcome = queue.remove(id, RemoveOptions::default()).await;
        if id == "nobody" {
            // Declared: BullMQ answers as if it had removed one.
            assert_eq!(refusal(outcome), Refusal::JobMissing);
        } else {
            outcome.unwrap();
        }
        pair.assert_same(id).await;
    }
}

#[tokio::test]
async fn what_must_not_be_removed_stays() {
    let pair = Pair::start().await;
    pair.add("held", json!({})).await;
    pair.theirs.call(&["SET", "bull:q:held:lock", "token"]).await.ok();
    pair.node
        .call(
            "upsertScheduler",
            json!({ "queue": "q", "schedulerId": "s", "repeat": { "every": 600_000, "offset": 1 } }),
        )
        .await;
    pair.mirror().await;
    let queue = pair.queue("q");
    assert_eq!(pair.their_queue("remove", json!(["held"])).await, 0);
    assert_eq!(refusal(queue.remove("held", WITH_CHILDREN).await), Refusal::Locked);
    let iteration = pair.theirs.call(&["ZRANGE", "bull:q:delayed", "0", "-1"]).await.texts().remove(0);
    let theirs = pair.node.try_call("remove", json!({ "queue": "q", "jobId": iteration })).await.unwrap_err();
    assert_eq!(theirs.code.as_deref(), Some("-8"));
    assert_eq!(refusal(queue.remove(&iteration, WITH_CHILDREN).await), Refusal::BelongsToScheduler);
    pair.assert_same("refused").await;
    // An id in a list without its hash is removed all the same.
    for client in [&pair.theirs, &pair.ours] {
        client.call(&["RPUSH", "bull:q:wait", "ghost"]).await.ok();
    }
    assert_eq!(pair.their_queue("remove", json!(["ghost"])).await, 1);
    queue.remove("ghost", WITH_CHILDREN).await.unwrap();
    pair.assert_same("ghost").await;
}

#[tokio::test]
async fn a_tree_is_removed_whole_or_not_at_all() {
    let pair = Pair::start().await;
    tree(&pair).await;
    pair.theirs.call(&["SET", "bull:q:leaf:lock", "token"]).await.ok();
    pair.mirror().await;
    let before = pair.ours.dump("bull:").await;
    assert_eq!(pair.node.queue("p", "remove", json!(["root"])).await, 0);
    assert_eq!(refusal(pair.queue("p").remove("root", WITH_CHILDREN).await), Refusal::Locked);
    assert_eq!(pair.ours.dump("bull:").await, before);
    pair.assert_same("locked").await;

    for client in [&pair.theirs, &pair.ours] {
        client.call(&["DEL", "bull:q:leaf:lock"]).await.ok();
    }
    assert_eq!(pair.node.queue("p", "remove", json!(["root"])).await, 1);
    pair.queue("p").remove("root", RemoveOptions::default()).await.unwrap();
    pair.assert_same("whole").await;
    assert!(pair.ours.keys("bull:q:leaf").await.is_empty());

    pair.clear().await;
    tree(&pair).await;
    pair.mirror().await;
    assert_eq!(pair.node.queue("p", "remove", json!(["middle", { "removeChildren": false }])).await, 1);
    pair.queue("p").remove("middle", WITHOUT_CHILDREN).await.unwrap();
    pair.assert_same("without its children").await;
}

#[tokio::test]
async fn children_are_removed_or_let_go_as_bullmq_does_it() {
    let pair = Pair::start().await;
    tree(&pair).await;
    pair.mirror().await;
    let (queue, parents) = (pair.queue("q"), pair.queue("p"));
    pair.node.job("p", "root", "removeUnprocessedChildren", json!([])).await;
    assert_eq!(parents.remove_unprocessed_children("root", quietly).await.unwrap(), 4);
    pair.assert_same("unprocessed").await;

    pair.clear().await;
    tree(&pair).await;
    pair.theirs.call(&["SET", "bull:q:leaf:lock", "token"]).await.ok();
    pair.mirror().await;
    pair.node.job("p", "middle", "removeUnprocessedChildren", json!([])).await;
    assert_eq!(parents.remove_unprocessed_children("middle", quietly).await.unwrap(), 1);
    pair.assert_same("a locked child stays").await;
    assert_eq!(pair.their_job("leaf", "removeChildDependency", json!([])).await, true);
    assert!(queue.remove_child_dependency("leaf").await.unwrap());
    pair.assert_same("the last child lets its parent go").await;
    assert_eq!(pair.their_refusal("leaf", "removeChildDependency", json!([])).await, Refusal::ParentMissing);
    assert_eq!(refusal(queue.remove_child_dependency("leaf").await), Refusal::ParentMissing);
    assert_eq!(pair.their_job("done", "removeChildDependency", json!([])).await, false);
    assert!(!queue.remove_child_dependency("done").await.unwrap());
    assert_eq!(refusal(queue.remove_child_dependency("nobody").await), Refusal::JobMissing);
    assert_eq!(queue.remove_unprocessed_children("nobody", quietly).await.unwrap(), 0);
    pair.assert_same("not any more").await;
}

#[tokio::test]
async fn a_job_is_changed_as_bullmq_changes_it() {
    let pair = Pair::start().await;
    jobs_in_every_state(&pair).await;
    pair.mirror().await;
    let queue = pair.queue("q");
    let jobs = ["waiting", "urgent", "late", "good"];
    for (id, (priority, lifo)) in
        jobs.into_iter().flat_map(|id| [(5, false), (5, true), (0, true), (7, false), (0, false)].map(|to| (id, to)))
    {
        pair.their_job(id, "changePriority", json!([{ "priority": priority, "lifo": lifo }])).await;
        queue.change_priority(id, Priority::new(priority).unwrap(), lifo).await.unwrap();
        pair.assert_same(&format!("{id} gets priority {priority}, lifo {lifo}")).await;
    }
    for (id, data) in [("waiting", json!({ "new": 1 })), ("late", json!([1.5, "ü"]))] {
        pair.their_job(id, "updateData", json!([data])).await;
        queue.update_data(id, &Json::from(data)).await.unwrap();
    }
    for keep in [5, 1, 0] {
        pair.their_job("waiting", "clearLogs", json!([keep])).await;
        queue.clear_logs("waiting", keep).await.unwrap();
        pair.assert_same(&format!("{keep} lines kept")).await;
    }
    assert_eq!(pair.their_refusal("waiting", "promote", json!([])).await, Refusal::WrongState);
    assert_eq!(refusal(queue.promote("waiting").await), Refusal::WrongState);
    assert_eq!(pair.their_refusal("waiting", "changeDelay", json!([1])).await, Refusal::WrongState);
    assert_eq!(refusal(queue.change_delay("waiting", 1).await), Refusal::WrongState);
    pair.their_job("late", "promote", json!([])).await;
    queue.promote("late").await.unwrap();
    pair.assert_same("promoted").await;

    assert_eq!(pair.their_job("owner", "removeDeduplicationKey", json!([])).await, true);
    assert!(queue.remove_job_deduplication_key("owner").await.unwrap());
    assert_eq!(pair.their_job("owner", "removeDeduplicationKey", json!([])).await, false);
    assert!(!queue.remove_job_deduplication_key("owner").await.unwrap());
    assert_eq!(pair.their_queue("removeDeduplicationKey", json!(["t"])).await, 1);
    assert!(queue.remove_deduplication_key("t").await.unwrap());
    assert_eq!(pair.their_queue("trimEvents", json!([0])).await, queue.trim_events(0).await.unwrap());
    pair.assert_same("keys given up").await;
}

#[tokio::test]
async fn a_delay_counts_from_the_change() {
    let pair = Pair::start().await;
    pair.add("a", json!({ "delay": 600_000 })).await;
    pair.add("b", json!({ "delay": 700_000 })).await;
    pair.mirror().await;
    for (id, delay) in [("a", 1_000_000), ("b", 5000), ("b", 800_000)] {
        pair.their_job(id, "changeDelay", json!([delay])).await;
        // BullMQ took the time from the machine: ours is set to that.
        let due: f64 = pair.theirs.call(&["ZSCORE", "bull:q:delayed", id]).await.text().parse().unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in this century")]
        let due = (due / 4096.0) as u64;
        pair.clock.set(due - delay);
        pair.queue("q").change_delay(id, delay).await.unwrap();
        pair.assert_same(&format!("{id} is delayed by {delay}")).await;
    }
}

#[tokio::test]
async fn what_is_missing_or_makes_no_sense_is_refused() {
    let pair = Pair::start().await;
    let queue = pair.queue("q");
    let priority = Priority::new(1).unwrap();
    assert_eq!(refusal(queue.promote("nobody").await), Refusal::JobMissing);
    assert_eq!(refusal(queue.change_delay("nobody", 1).await), Refusal::JobMissing);
    assert_eq!(refusal(queue.change_priority("nobody", priority, false).await), Refusal::JobMissing);
    assert_eq!(refusal(queue.update_data("nobody", &Json::null()).await), Refusal::JobMissing);
    assert_eq!(refusal(queue.retry("nobody", RetryOptions::default()).await), Refusal::JobMissing);
    assert_eq!(refusal(queue.remove_job_deduplication_key("nobody").await), Refusal::JobMissing);
    assert!(matches!(queue.change_delay("nobody", u64::MAX).await, Err(QueueError::InvalidOptions(_))));
    let argument = |error: QueueError| match error {
        QueueError::InvalidArgument { field, .. } => field,
        other => panic!("{other}"),
    };
    let grace = Duration::ZERO;
    assert_eq!(argument(queue.clean(grace, Some(0), JobState::Failed, quietly).await.unwrap_err()), "limit");
    assert_eq!(argument(queue.clean(grace, None, JobState::Unknown, quietly).await.unwrap_err()), "state");
    assert_eq!(argument(queue.retry_jobs(JobState::Waiting, 1, None, quietly).await.unwrap_err()), "state");
    let active = RetryOptions { state: Some(JobState::Active), ..RetryOptions::default() };
    assert_eq!(argument(queue.retry("nobody", active).await.unwrap_err()), "state");
    for count in [0, 1001] {
        assert_eq!(argument(queue.retry_jobs(JobState::Failed, count, None, quietly).await.unwrap_err()), "count");
        assert_eq!(argument(queue.promote_jobs(count, quietly).await.unwrap_err()), "count");
    }
    assert!(pair.ours.keys("bull:").await.is_empty(), "nothing may have been written");

    pair.add_data("limited", json!({}), json!({ "sizeLimit": 10 })).await;
    pair.mirror().await;
    let large = Json::from(json!("eleven bytes"));
    let error = queue.update_data("limited", &large).await.unwrap_err();
    assert!(matches!(error, QueueError::TooLarge { field: "opts.sizeLimit", bytes: 14, limit: 10 }), "{error}");
    let error = queue.clone().with_max_data_bytes(5).update_data("limited", &large).await.unwrap_err();
    assert!(matches!(error, QueueError::TooLarge { field: "OPERATOR_MAX_DATA_BYTES", .. }), "{error}");
    pair.assert_same("too large").await;
}

#[tokio::test]
async fn a_finished_job_runs_again_as_in_bullmq() {
    let pair = Pair::start().await;
    finished(&pair).await;
    pair.mirror().await;
    let queue = pair.queue("q");
    let (failed, completed) = (Some(JobState::Failed), Some(JobState::Completed));
    assert_eq!(pair.their_refusal("good", "retry", json!(["failed"])).await, Refusal::WrongState);
    let options = RetryOptions { state: failed, ..RetryOptions::default() };
    assert_eq!(refusal(queue.retry("good", options).await), Refusal::WrongState);
    let jobs = [
        ("plain", failed, false, false),
        ("urgent", failed, true, false),
        ("front", failed, false, true),
        ("good", completed, true, true),
        ("done", completed, false, false),
        ("broken", failed, false, false),
        ("ignored", failed, false, false),
    ];
    for (id, state, made, started) in jobs {
        let reset = json!({ "resetAttemptsMade": made, "resetAttemptsStarted": started });
        pair.their_job(id, "retry", json!([state.unwrap().as_str(), reset])).await;
        let options = RetryOptions {
            state,
            lifo: false,
            reset_attempts_made: made,
            reset_attempts_started: started,
            reset_stalled: false,
        };
        queue.retry(id, options).await.unwrap();
        pair.assert_same(id).await;
    }
}

#[tokio::test]
async fn keys_that_are_no_jobs_are_not_touched_as_if_they_were() {
    let pair = Pair::start().await;
    pair.add("7x", json!({})).await;
    pair.node
        .call("upsertScheduler", json!({ "queue": "q", "schedulerId": "nightly", "repeat": { "every": 600_000 } }))
        .await;
    pair.theirs.call(&["HSET", "bull:q:metrics:completed", "count", "3"]).await.ok();
    pair.theirs.call(&["RPUSH", "bull:q:7x:logs", "line"]).await.ok();
    pair.mirror().await;
    let queue = pair.queue("q");
    for key in ["meta", "events", "repeat:nightly", "metrics:completed", "7x:logs"] {
        assert_eq!(refusal(queue.remove(key, WITH_CHILDREN).await), Refusal::JobMissing, "{key}");
        assert_eq!(refusal(queue.update_data(key, &Json::null()).await), Refusal::JobMissing, "{key}");
        assert_eq!(refusal(queue.change_priority(key, Priority::NONE, false).await), Refusal::JobMissing, "{key}");
        assert_eq!(refusal(queue.update_progress(key, &Json::null()).await), Refusal::JobMissing, "{key}");
        assert_eq!(refusal(queue.retry(key, RetryOptions::AFRESH).await), Refusal::JobMissing, "{key}");
        assert_eq!(queue.job(key).await.unwrap(), None, "{key}");
    }
    pair.assert_same("keys of the queue").await;
}

#[tokio::test]
async fn retrying_all_jobs_up_to_a_time_to_come_ends_with_those_that_have_failed_by_now() {
    let pair = Pair::start().await;
    pair.add("late", json!({})).await;
    pair.mirror().await;
    let queue = pair.queue("q");
    let soon = queue.now_ms() + 3_600_000;
    pair.ours.call(&["LREM", "bull:q:wait", "1", "late"]).await.ok();
    pair.ours.call(&["ZADD", "bull:q:failed", &soon.to_string(), "late"]).await.ok();
    assert_eq!(queue.retry_jobs(JobState::Failed, 10, Some(u64::MAX), quietly).await.unwrap(), 0);
}
