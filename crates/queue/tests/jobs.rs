//! What becomes of jobs: added in every form, run, retried, failed, and what each leaves in Redis.

mod rig;

use operator_core::{Backoff, JobOptions, JobState, Keep, Priority};
use operator_queue::{QueueError, Range, Refusal, RemoveOptions, RetryOptions};
use rig::{Rig, job, with};
use std::time::Duration;

const OLDEST_FIRST: Range = Range { first: 0, last: 99, ascending: true };

#[tokio::test]
async fn a_job_runs_and_leaves_its_result() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Completed, 1).await;
    let done = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!(done.return_value.unwrap().as_str(), r#"{"of":"a"}"#);
    assert_eq!((done.attempts_made, done.attempts_started), (1, 1));
    assert!(done.finished_ms >= done.processed_ms && done.processed_ms >= Some(done.timestamp_ms));
    assert_eq!(rig.events().await, ["added a", "waiting a", "active a", "completed a", "drained"]);
    assert_eq!(rig.raw.call(&["EXISTS", "bull:q:a:lock"]).await.int(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn jobs_are_served_first_in_first_out_with_lifo_before_and_priorities_after() {
    let rig = Rig::start().await;
    rig.queue.pause().await.unwrap();
    let priority = |number| JobOptions { priority: Priority::new(number).unwrap(), ..JobOptions::default() };
    let lifo = JobOptions { lifo: true, ..JobOptions::default() };
    let jobs = vec![
        with("echo", "low", priority(9)),
        job("echo", "first"),
        job("echo", "second"),
        with("echo", "high", priority(1)),
        with("echo", "high2", priority(1)),
        with("echo", "front", lifo),
    ];
    rig.queue.add_bulk(jobs).await.unwrap();
    let worker = rig.worker(1).await;
    rig.queue.resume().await.unwrap();
    rig.until(JobState::Completed, 6).await;
    let started: Vec<_> =
        rig.events().await.into_iter().filter_map(|event| Some(event.strip_prefix("active ")?.to_owned())).collect();
    assert_eq!(started, ["front", "first", "second", "high", "high2", "low"]);
    assert_eq!(rig.raw.call(&["EXISTS", "bull:q:pc"]).await.int(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_delayed_job_runs_when_it_is_due_and_not_before() {
    let rig = Rig::start().await;
    let worker = rig.worker(1).await;
    let delayed = JobOptions { delay_ms: 300, ..JobOptions::default() };
    rig.queue.add(with("echo", "later", delayed)).await.unwrap();
    assert_eq!(rig.queue.state("later").await.unwrap(), JobState::Delayed);
    rig.until(JobState::Completed, 1).await;
    let done = rig.queue.job("later").await.unwrap().unwrap();
    assert!(done.processed_ms.unwrap() >= done.timestamp_ms + 300);
    assert_eq!(done.delay_ms, 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_failing_job_is_retried_as_its_options_say_and_then_fails_for_good() {
    let rig = Rig::start().await;
    let worker = rig.worker(4).await;
    let three = JobOptions { attempts: 3, backoff: Some(Backoff::fixed(20)), ..JobOptions::default() };
    rig.queue.add(with("fail", "thrice", three)).await.unwrap();
    rig.queue.add(with("flaky", "flaky", JobOptions { attempts: 2, ..JobOptions::default() })).await.unwrap();
    rig.queue.add(with("fatal", "fatal", JobOptions { attempts: 9, ..JobOptions::default() })).await.unwrap();
    rig.queue.add(job("panic", "panic")).await.unwrap();
    rig.until(JobState::Failed, 3).await;
    rig.until(JobState::Completed, 1).await;
    let made = async |id| rig.queue.job(id).await.unwrap().unwrap().attempts_made;
    assert_eq!((made("thrice").await, made("flaky").await, made("fatal").await, made("panic").await), (3, 2, 1, 1));
    let thrice = rig.queue.job("thrice").await.unwrap().unwrap();
    assert_eq!(thrice.failed_reason.as_deref(), Some("it failed"));
    assert_eq!(thrice.stacktrace, vec!["it failed\nsomewhere"; 3]);
    let panicked = rig.queue.job("panic").await.unwrap().unwrap();
    assert!(panicked.failed_reason.unwrap().contains("at the disco"));
    let exhausted = rig.events().await.into_iter().filter(|event| event.starts_with("retries-exhausted")).count();
    assert_eq!(exhausted, 2, "the job that failed early has not exhausted its attempts");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn finished_jobs_are_kept_as_their_policy_says() {
    let rig = Rig::start().await;
    let keep = |keep| JobOptions { remove_on_complete: Some(keep), ..JobOptions::default() };
    let mut jobs: Vec<_> = (0..10).map(|number| with("echo", &format!("k{number}"), keep(Keep::count(3)))).collect();
    jobs.push(with("echo", "gone", keep(Keep::Nothing)));
    jobs.push(with("fail", "failed-gone", JobOptions { remove_on_fail: Some(Keep::Nothing), ..JobOptions::default() }));
    rig.queue.add_bulk(jobs).await.unwrap();
    let worker = rig.worker(1).await;
    rig.until(JobState::Waiting, 0).await;
    rig.until(JobState::Active, 0).await;
    assert_eq!(rig.queue.ids(JobState::Completed, OLDEST_FIRST).await.unwrap(), ["k7", "k8", "k9"]);
    for id in ["k0", "gone", "failed-gone"] {
        assert!(rig.queue.job(id).await.unwrap().is_none(), "{id} should be gone");
        assert!(rig.raw.keys(&format!("bull:q:{id}")).await.is_empty());
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_id_that_is_in_the_queue_is_not_added_again() {
    let rig = Rig::start().await;
    let ids = rig.queue.add_bulk(vec![job("echo", "same"), job("other", "same"), job("echo", "b")]).await.unwrap();
    assert_eq!(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["same", "same", "b"]);
    assert_eq!(rig.queue.job("same").await.unwrap().unwrap().name, "echo");
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 2);
    assert!(rig.events().await.contains(&"duplicated same".to_owned()));
}

#[tokio::test]
async fn what_must_not_be_written_is_refused_before_anything_is() {
    let rig = Rig::start().await;
    for id in ["42", "wait", "a:b", "meta", "", "\n"] {
        let mut bad = job("echo", "x");
        bad.opts.job_id = Some(operator_core::JobId::from_wire(id));
        let refused = rig.queue.add_bulk(vec![job("echo", "good"), bad]).await;
        assert!(matches!(refused, Err(QueueError::InvalidId(_))), "{id:?}: {refused:?}");
    }
    let limited = JobOptions { size_limit: Some(5), ..JobOptions::default() };
    let refused = rig.queue.add(with("echo", "big", limited)).await.unwrap_err().to_string();
    assert!(refused.contains("opts.sizeLimit"), "{refused}");
    let refused = rig.queue.clone().with_max_data_bytes(5).add(job("echo", "big")).await.unwrap_err().to_string();
    assert!(refused.contains("OPERATOR_MAX_DATA_BYTES"), "{refused}");
    assert!(rig.raw.keys("bull:").await.is_empty(), "nothing may have been written");
}

#[tokio::test]
async fn a_bulk_of_any_size_keeps_its_order() {
    let rig = Rig::start().await;
    let jobs: Vec<_> = (0..2500).map(|number| job("echo", &format!("n{number}"))).collect();
    rig.queue.add_bulk(jobs).await.unwrap();
    let page = Range { first: 2400, last: 2499, ascending: true };
    let ids = rig.queue.ids(JobState::Waiting, page).await.unwrap();
    assert_eq!((ids.len(), ids[0].as_str(), ids[99].as_str()), (100, "n2400", "n2499"));
    let newest = Range { first: 0, last: 1, ascending: false };
    assert_eq!(rig.queue.ids(JobState::Waiting, newest).await.unwrap(), ["n2499", "n2498"]);
}

#[tokio::test]
async fn administration_moves_jobs_and_says_why_it_cannot() {
    let rig = Rig::start().await;
    let delayed = JobOptions { delay_ms: 600_000, ..JobOptions::default() };
    rig.queue.add(with("echo", "later", delayed)).await.unwrap();
    let refusal = |error: QueueError| match error {
        QueueError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    };
    assert_eq!(refusal(rig.queue.promote("nobody").await.unwrap_err()), Refusal::JobMissing);
    assert_eq!(refusal(rig.queue.remove("nobody", RemoveOptions::default()).await.unwrap_err()), Refusal::JobMissing);
    assert_eq!(refusal(rig.queue.retry("later", RetryOptions::default()).await.unwrap_err()), Refusal::WrongState);
    let worker = rig.worker(2).await;
    rig.queue.promote("later").await.unwrap();
    rig.until(JobState::Completed, 1).await;
    assert_eq!(refusal(rig.queue.promote("later").await.unwrap_err()), Refusal::WrongState);
    rig.queue.retry("later", RetryOptions::AFRESH).await.unwrap();
    rig.until(JobState::Waiting, 0).await;
    rig.until(JobState::Completed, 1).await;
    assert_eq!(rig.queue.job("later").await.unwrap().unwrap().attempts_made, 1);

    rig.queue.add(job("hang", "held")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    assert_eq!(refusal(rig.queue.remove("held", RemoveOptions::default()).await.unwrap_err()), Refusal::Locked);
    worker.stop(Duration::ZERO).await;
    assert_eq!(rig.queue.state("held").await.unwrap(), JobState::Waiting);
    rig.queue.remove("held", RemoveOptions::default()).await.unwrap();
    rig.queue.remove("later", RemoveOptions::default()).await.unwrap();
    assert!(rig.raw.keys("bull:q:later").await.is_empty());
}

#[tokio::test]
async fn progress_and_logs_are_kept_within_their_limit() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    rig.queue.update_progress("a", &serde_json::json!({"done": 5}).into()).await.unwrap();
    let lines: Vec<_> = (0..5).map(|number| format!("line {number}")).collect();
    assert_eq!(rig.queue.add_logs("a", &lines, None).await.unwrap(), 5);
    assert_eq!(rig.queue.add_logs("a", &lines[..1], Some(3)).await.unwrap(), 3);
    let (page, count) = rig.queue.logs("a", 0, 99).await.unwrap();
    assert_eq!((page, count), (vec!["line 3".to_owned(), "line 4".to_owned(), "line 0".to_owned()], 3));
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().progress.unwrap().as_str(), r#"{"done":5}"#);
    assert!(rig.queue.update_progress("nobody", &serde_json::json!(1).into()).await.is_err());
}

#[tokio::test]
async fn resuming_brings_back_what_version_five_parked() {
    let rig = Rig::start().await;
    rig.queue.pause().await.unwrap();
    assert!(rig.queue.is_paused().await.unwrap());
    rig.queue.add_bulk(vec![job("echo", "old1"), job("echo", "old2")]).await.unwrap();
    rig.raw.call(&["RENAME", "bull:q:wait", "bull:q:paused"]).await.ok();
    rig.queue.add(job("echo", "new")).await.unwrap();
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 3);
    rig.queue.resume().await.unwrap();
    assert_eq!(rig.queue.ids(JobState::Waiting, OLDEST_FIRST).await.unwrap(), ["old1", "old2", "new"]);
    assert!(rig.raw.keys("bull:q:paused").await.is_empty());
}
