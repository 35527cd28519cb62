//! Values that no client of ours writes, and options out of all range: whatever they are, a script that has begun goes
//! through, and no job is in no list (I1).

mod rig;

use std::time::Duration;

use operator_core::{Deduplication, FlowJob, JobId, JobOptions, JobState, Json, NewJob, ParentRef};
use operator_queue::worker::{Consumer, RateLimit, Worker, WorkerOptions};
use operator_queue::{FlowProducer, QueueError};
use operator_testkit::wait::eventually;
use rig::{Rig, Script, job, options, with};

const LONG: Duration = Duration::from_secs(600);

fn patient(rig: &Rig) -> WorkerOptions {
    WorkerOptions { lock_duration: LONG, stalled_interval: LONG, ..options(&rig.queue, 2) }
}

/// Puts one option out of its range.
type Change = fn(&mut WorkerOptions);

async fn set(rig: &Rig, key: &str, field: &str, value: &str) {
    rig.raw.call(&["HSET", key, field, value]).await.ok();
}

#[tokio::test]
async fn options_that_redis_cannot_take_are_refused_before_anything_is_claimed() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    let with = |change: Change| {
        let mut options = patient(&rig);
        change(&mut options);
        options
    };
    let cases: [(&str, Change); 10] = [
        ("concurrency", |options| options.concurrency = 0),
        ("lock_duration", |options| options.lock_duration = Duration::ZERO),
        ("lock_duration", |options| options.lock_duration = Duration::MAX),
        ("stalled_interval", |options| options.stalled_interval = Duration::MAX),
        ("idle_wait", |options| options.idle_wait = Duration::MAX),
        ("history_max_entries", |options| options.history_max_entries = Some(u64::MAX)),
        ("limiter.max", |options| options.limiter = Some(RateLimit { max: 0, duration: LONG })),
        ("limiter.max", |options| options.limiter = Some(RateLimit { max: u64::MAX, duration: LONG })),
        ("limiter.duration", |options| options.limiter = Some(RateLimit { max: 1, duration: Duration::ZERO })),
        ("limiter.duration", |options| options.limiter = Some(RateLimit { max: 1, duration: Duration::MAX })),
    ];
    for (name, change) in cases {
        let started = Worker::start(&rig.config, with(change), std::sync::Arc::new(Script)).await;
        let claimed = Consumer::new(rig.queue.clone(), &with(change)).claim().await;
        for error in [started.err().unwrap(), claimed.err().unwrap()] {
            assert!(matches!(error, QueueError::InvalidArgument { field, .. } if field == name), "{name}: {error}");
        }
    }
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Waiting);
    let worker = rig.worker_with(patient(&rig)).await;
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::MAX).await;
}

#[tokio::test]
async fn settings_of_the_queue_that_are_no_whole_numbers_stop_no_job() {
    for (field, value) in [
        ("opts.maxLenEvents", "-1"),
        ("opts.maxLenEvents", "1000.5"),
        ("opts.maxLenEvents", "Infinity"),
        ("opts.maxLenEvents", "nan"),
        ("concurrency", "1.5"),
        ("concurrency", "0.5"),
        ("concurrency", "nan"),
    ] {
        let rig = Rig::start().await;
        rig.queue.register().await.unwrap();
        set(&rig, "bull:q:meta", field, value).await;
        rig.queue.add_bulk((0..5).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
        let worker = rig.worker_with(patient(&rig)).await;
        rig.until(JobState::Completed, 5).await;
        worker.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_rate_that_is_no_whole_number_is_kept_as_one() {
    for (max, duration) in [("2", "300.5"), ("1.5", "300"), ("2", "1e300"), ("2", "0.5")] {
        let rig = Rig::start().await;
        rig.queue.register().await.unwrap();
        set(&rig, "bull:q:meta", "max", max).await;
        set(&rig, "bull:q:meta", "duration", duration).await;
        rig.queue.add_bulk((0..2).map(|number| job("echo", &format!("j{number}"))).collect()).await.unwrap();
        let worker = rig.worker_with(patient(&rig)).await;
        rig.until(JobState::Completed, 2).await;
        worker.stop(Duration::ZERO).await;
        assert_ne!(rig.raw.call(&["PTTL", "bull:q:limiter"]).await.int(), -1, "the count ends: {max} in {duration}");
    }
}

#[tokio::test]
async fn a_child_whose_parent_field_says_nothing_is_known_by_its_key() {
    for parent in
        [Some("null"), Some("{}"), Some("[]"), Some(r#"{"id":"p"}"#), Some(r#"{"id":{},"queueKey":{}}"#), None]
    {
        let rig = Rig::start().await;
        let flow = FlowJob::new(rig.queue.name().clone(), "echo", Json::null())
            .with(JobOptions { job_id: Some(JobId::from_wire("p")), ..JobOptions::default() });
        let child = JobOptions { job_id: Some(JobId::from_wire("c")), ..JobOptions::default() };
        let child = FlowJob::new(rig.queue.name().clone(), "echo", Json::null()).with(child);
        FlowProducer::new(&rig.redis).add(&flow.waiting_for(child)).await.unwrap();
        match parent {
            Some(parent) => set(&rig, "bull:q:c", "parent", parent).await,
            None => drop(rig.raw.call(&["HDEL", "bull:q:c", "parent"]).await.ok()),
        }
        let worker = rig.worker_with(patient(&rig)).await;
        rig.until(JobState::Completed, 2).await;
        worker.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_job_without_data_has_its_place_in_the_history() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", "a"), job("echo", "b")]).await.unwrap();
    rig.raw.call(&["HDEL", "bull:q:a", "data"]).await.ok();
    let worker = rig.worker_with(WorkerOptions { history_max_entries: Some(100), ..patient(&rig) }).await;
    eventually("both to be in the history", async || {
        let entries = rig.raw.call(&["XRANGE", "bull:q:operator:history", "-", "+"]).await;
        let records = entries.list().iter().map(|entry| entry.list()[1].list().len() / 6).sum::<usize>();
        (records == 2).then_some(())
    })
    .await;
    rig.until(JobState::Completed, 2).await;
    assert_eq!(worker.status().lost(), 0);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_kept_for_later_whose_options_are_unreadable_runs_without_them() {
    for opts in ["nonsense", "5", "null", ""] {
        let rig = Rig::start().await;
        let last = Deduplication { id: "d".to_owned(), keep_last_if_active: true, ..Deduplication::default() };
        let last = JobOptions { deduplication: Some(last), ..JobOptions::default() };
        rig.queue.add(with("echo", "a", last.clone())).await.unwrap();
        let held = Consumer::new(rig.queue.clone(), &patient(&rig)).claim().await.unwrap().job.unwrap();
        rig.queue.add(with("echo", "b", last)).await.unwrap();
        set(&rig, "bull:q:dn:d", "opts", opts).await;
        held.complete(Json::null()).await.unwrap();
        assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Completed);
        assert_eq!(rig.queue.state("b").await.unwrap(), JobState::Waiting);
    }
}

/// The script fails after it has claimed.
#[tokio::test]
async fn jobs_of_a_claim_that_ended_in_an_error_are_found() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", "a"), job("echo", "b")]).await.unwrap();
    rig.raw.call(&["SET", "bull:q:marker", "no sorted set"]).await.ok();
    let worker = rig.worker_with(patient(&rig)).await;
    rig.until(JobState::Completed, 2).await;
    for id in ["a", "b"] {
        assert_eq!(rig.queue.job(id).await.unwrap().unwrap().attempts_started, 1);
    }
    worker.stop(Duration::ZERO).await;
}

/// BullMQ's parents are known by more than their ids.
#[tokio::test]
async fn a_child_with_a_colon_in_its_id_is_refused() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "p")).await.unwrap();
    let parent = Some(ParentRef { id: JobId::from_wire("p"), queue: "bull:q".to_owned() });
    let child = JobOptions { job_id: Some(JobId::from_wire("x:y:z")), parent, ..JobOptions::default() };
    let error = rig.queue.add(NewJob::new("echo", Json::null()).with(child)).await.unwrap_err();
    assert!(matches!(error, QueueError::InvalidArgument { field: "opts.jobId", .. }), "{error}");
}

#[tokio::test]
async fn a_delayed_id_without_a_job_leaves_nothing_behind_when_it_is_due() {
    let rig = Rig::start().await;
    rig.queue.add(with("echo", "a", JobOptions { delay_ms: 600_000, ..JobOptions::default() })).await.unwrap();
    rig.raw.call(&["DEL", "bull:q:a"]).await.ok();
    rig.raw.call(&["ZADD", "bull:q:delayed", "1", "a"]).await.ok();
    let worker = rig.worker_with(patient(&rig)).await;
    rig.until(JobState::Delayed, 0).await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    rig.until(JobState::Completed, 1).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_job_that_cannot_be_read_fails_with_its_claim_by_hand() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    set(&rig, "bull:q:a", "data", "{not json").await;
    let consumer = Consumer::new(rig.queue.clone(), &patient(&rig));
    let error = consumer.claim().await.err().unwrap();
    assert!(matches!(error, QueueError::Corrupt { .. }), "{error}");
    assert_eq!(rig.queue.state("a").await.unwrap(), JobState::Failed);
    assert_eq!(rig.raw.call(&["EXISTS", "bull:q:a:lock"]).await.int(), 0);
}

#[tokio::test]
async fn a_lock_cannot_be_extended_by_nothing() {
    let rig = Rig::start().await;
    rig.queue.add(job("echo", "a")).await.unwrap();
    let held = Consumer::new(rig.queue.clone(), &patient(&rig)).claim().await.unwrap().job.unwrap();
    for duration in [Duration::ZERO, Duration::MAX] {
        let error = held.extend_lock(duration).await.unwrap_err();
        assert!(matches!(error, QueueError::InvalidArgument { field: "duration", .. }), "{error}");
    }
    held.complete(Json::null()).await.unwrap();
}

#[tokio::test]
async fn numbers_at_the_end_of_their_range_end_no_worker() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", "a"), job("echo", "b")]).await.unwrap();
    set(&rig, "bull:q:a", "opts", r#"{"attempts":0,"delay":18446744073709551615}"#).await;
    set(&rig, "bull:q:b", "atm", "4294967295").await;
    let worker = rig.worker_with(WorkerOptions { history_max_entries: Some(100), ..patient(&rig) }).await;
    rig.until(JobState::Completed, 2).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_flow_with_more_data_than_one_call_should_carry_is_refused() {
    let rig = Rig::start().await;
    let job = |data| FlowJob::new(rig.queue.name().clone(), "echo", data);
    let large = Json::encode(&"x".repeat(1_000_000)).unwrap();
    let flow = (0..68).fold(job(Json::null()), |flow, _| flow.waiting_for(job(large.clone())));
    let error = FlowProducer::new(&rig.redis).add(&flow).await.unwrap_err();
    assert!(matches!(error, QueueError::InvalidArgument { field: "flow", .. }), "{error}");
    assert_eq!(rig.queue.counts().await.unwrap().unfinished(), 0);
}
