//! Administration of many jobs at once: in bounded steps, while others work, and stopped half-way.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;

use std::time::Duration;

use operator_core::{JobOptions, JobState, ParentRef, Priority};
use operator_queue::{Progress, QueueError, RemoveOptions};
use operator_testkit::wait::eventually;
use rig::{Rig, job, options, with};

const MANY: u64 = 100_000;

/// The most jobs that a step may be about.
const STEP: u64 = 1000;

/// Notes how far an operation is after each of its steps.
#[derive(Default)]
struct Steps(Vec<Progress>);

impl Steps {
    fn note(&mut self) -> impl FnMut(Progress) + Send {
        |progress| self.0.push(progress)
    }

    /// Fails unless `jobs` were dealt with in bounded steps, each with a script call of its own.
    async fn assert_bounded(&self, rig: &Rig, jobs: u64) {
        let mut before = 0;
        for progress in &self.0 {
            assert!(progress.jobs - before <= STEP, "{before} and then {}", progress.jobs);
            before = progress.jobs;
        }
        let last = self.0.last().unwrap();
        assert_eq!((last.jobs, last.done), (jobs, true));
        assert_eq!(self.0.iter().filter(|progress| progress.done).count(), 1);
        let calls = rig.raw.command_stats().await["evalsha"];
        assert!(calls >= jobs / STEP && calls <= jobs / STEP + 40, "{calls} calls for {jobs} jobs");
    }
}

async fn fill(rig: &Rig, opts: JobOptions) {
    rig.queue.add_bulk(vec![with("echo", "", opts); MANY as usize]).await.unwrap();
    rig.raw.reset_stats().await;
}

/// Moves what waits to the set of a finished state, all at one time.
async fn finish(rig: &Rig, state: &str) {
    let script = "local ids = redis.call('LRANGE', KEYS[1], 0, -1) redis.call('DEL', KEYS[1])
        for place = #ids, 1, -1 do redis.call('ZADD', KEYS[2], 1000, ids[place]) end";
    rig.raw.call(&["EVAL", script, "2", "bull:q:wait", &format!("bull:q:{state}")]).await.ok();
    rig.raw.reset_stats().await;
}

#[tokio::test]
async fn a_hundred_thousand_waiting_jobs_are_drained_in_steps() {
    let rig = Rig::start().await;
    fill(&rig, JobOptions::default()).await;
    let mut steps = Steps::default();
    assert_eq!(rig.queue.drain(true, steps.note()).await.unwrap(), MANY);
    steps.assert_bounded(&rig, MANY).await;
    let left = rig.raw.keys("bull:q:").await;
    assert!(left.len() < 10, "{left:?}");
}

#[tokio::test]
async fn a_hundred_thousand_finished_jobs_are_retried_and_cleaned_in_steps() {
    let rig = Rig::start().await;
    fill(&rig, JobOptions::default()).await;
    finish(&rig, "failed").await;
    let mut steps = Steps::default();
    assert_eq!(rig.queue.retry_jobs(JobState::Failed, STEP, None, steps.note()).await.unwrap(), MANY);
    steps.assert_bounded(&rig, MANY).await;
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), MANY);

    finish(&rig, "completed").await;
    let mut steps = Steps::default();
    let ids = rig.queue.clean(Duration::ZERO, Some(2500), JobState::Completed, steps.note()).await.unwrap();
    assert_eq!(ids.len(), 2500);
    rig.raw.reset_stats().await;
    let mut steps = Steps::default();
    let ids = rig.queue.clean(Duration::ZERO, None, JobState::Completed, steps.note()).await.unwrap();
    assert_eq!(ids.len() as u64, MANY - 2500);
    steps.assert_bounded(&rig, MANY - 2500).await;
    let cleaned = rig.events().await.into_iter().filter(|event| event == "cleaned").count();
    assert_eq!(cleaned, 3 + 98, "one per step that removed jobs");
}

#[tokio::test]
async fn a_hundred_thousand_jobs_are_promoted_and_obliterated_in_steps() {
    let rig = Rig::start().await;
    fill(&rig, JobOptions { delay_ms: 600_000, ..JobOptions::default() }).await;
    let mut steps = Steps::default();
    assert_eq!(rig.queue.promote_jobs(STEP, steps.note()).await.unwrap(), MANY);
    steps.assert_bounded(&rig, MANY).await;
    rig.raw.reset_stats().await;
    let mut steps = Steps::default();
    assert_eq!(rig.queue.obliterate(false, steps.note()).await.unwrap(), MANY);
    assert_eq!(rig.raw.call(&["SISMEMBER", "bull::operator:queues", "q"]).await.int(), 0, "nobody follows it any more");
    steps.assert_bounded(&rig, MANY).await;
    assert!(rig.raw.keys("bull:q:").await.is_empty());
    // The queue is as good as new.
    rig.queue.add(job("echo", "a")).await.unwrap();
    assert_eq!(rig.raw.call(&["HGET", "bull:q:meta", "version"]).await.text(), "bullmq:6.7.0");
}

#[tokio::test]
async fn what_is_in_the_way_does_not_stop_a_long_clean() {
    let rig = Rig::start().await;
    let old = JobOptions { timestamp_ms: Some(1000), ..JobOptions::default() };
    let jobs: Vec<_> = (0..3500)
        .map(|number| {
            with("echo", &format!("n{number}"), if number % 7 == 0 { JobOptions::default() } else { old.clone() })
        })
        .collect();
    rig.queue.add_bulk(jobs).await.unwrap();
    let ids = rig.queue.clean(Duration::from_secs(60), None, JobState::Waiting, |_| ()).await.unwrap();
    assert_eq!(ids.len(), 3000);
    let left = rig.raw.call(&["LRANGE", "bull:q:wait", "0", "-1"]).await.texts();
    let expected: Vec<_> =
        (0..3500).rev().filter(|number| number % 7 == 0).map(|number| format!("n{number}")).collect();
    assert_eq!(left, expected, "in their order");
}

#[tokio::test]
async fn a_drain_while_workers_run_loses_no_active_job_and_spares_what_comes_later() {
    let rig = Rig::start().await;
    rig.queue.add(job("hang", "held")).await.unwrap();
    rig.queue.add_bulk(vec![job("echo", ""); 20_000]).await.unwrap();
    let worker = rig.worker(20).await;
    eventually("the worker to be at work", async || {
        (rig.queue.counts().await.ok()?.of(JobState::Completed) > 100).then_some(())
    })
    .await;
    let mut added = 0;
    let (handle, queue) = (tokio::runtime::Handle::current(), rig.queue.clone());
    let mut later = Vec::new();
    let removed = rig
        .queue
        .drain(false, |_| {
            let (queue, id) = (queue.clone(), format!("later{added}"));
            added += 1;
            later.push(handle.spawn(async move { queue.add(job("echo", &id)).await.unwrap() }));
        })
        .await
        .unwrap();
    let later = futures::future::join_all(later).await.len() as u64;
    eventually("the worker to be done", async || {
        let counts = rig.queue.counts().await.ok()?;
        (counts.of(JobState::Waiting) == 0 && counts.of(JobState::Active) == 1).then_some(())
    })
    .await;
    assert_eq!(rig.queue.state("held").await.unwrap(), JobState::Active);
    let completed = rig.queue.counts().await.unwrap().of(JobState::Completed);
    assert_eq!(completed + removed, 20_000 + later, "each job was either run or removed");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_operation_that_is_dropped_stops_between_two_steps() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", ""); 10_000]).await.unwrap();
    let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel();
    tokio::select! {
        biased;
        _ = steps.recv() => {}
        removed = rig.queue.drain(true, move |progress| sender.send(progress).unwrap()) => panic!("{removed:?} at once"),
    }
    let waiting = rig.queue.counts().await.unwrap().of(JobState::Waiting);
    assert!((1..10_000).contains(&waiting) && waiting % STEP == 0, "{waiting} left");
    let hashes = rig.raw.keys("bull:q:0").await.len() as u64;
    assert_eq!(hashes, waiting, "what is left is whole");
    let worker = rig.worker(50).await;
    rig.until(JobState::Completed, waiting).await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_tree_too_large_for_one_call_is_refused_and_taken_down_in_steps() {
    let rig = Rig::start().await;
    parent_of(&rig, 10_001).await;
    let before = rig.queue.counts().await.unwrap();
    let error = rig.queue.remove("parent", RemoveOptions::default()).await.unwrap_err();
    assert!(matches!(error, QueueError::InvalidArgument { field: "children", .. }), "{error}");
    assert_eq!(rig.queue.counts().await.unwrap(), before);

    rig.raw.call(&["SET", "bull:q:c7:lock", "token"]).await.ok();
    rig.raw.reset_stats().await;
    let mut last = 0;
    let removed = rig
        .queue
        .remove_unprocessed_children("parent", |progress| {
            // A set is looked through in blocks, of which the last may be a little longer.
            assert!(progress.jobs - last <= STEP + 100, "{last} and then {}", progress.jobs);
            last = progress.jobs;
        })
        .await
        .unwrap();
    assert_eq!(removed, 10_000);
    assert!(rig.raw.command_stats().await["evalsha"] >= 10);
    assert_eq!(rig.raw.call(&["SMEMBERS", "bull:q:parent:dependencies"]).await.texts(), ["bull:q:c7"]);
    assert_eq!(rig.queue.state("parent").await.unwrap(), JobState::WaitingChildren);
    rig.raw.call(&["DEL", "bull:q:c7:lock"]).await.ok();
    rig.queue.remove("parent", RemoveOptions::default()).await.unwrap();
    assert!(rig.queue.job("c7").await.unwrap().is_none());
}

/// Adds a job with these children and puts it where a job with children waits.
async fn parent_of(rig: &Rig, children: u64) {
    rig.queue.add(job("echo", "parent")).await.unwrap();
    rig.raw.call(&["LREM", "bull:q:wait", "1", "parent"]).await.ok();
    rig.raw.call(&["ZADD", "bull:q:waiting-children", "1", "parent"]).await.ok();
    let parent = Some(ParentRef { id: operator_core::JobId::from_wire("parent"), queue: "bull:q".to_owned() });
    let child =
        |number| with("echo", &format!("c{number}"), JobOptions { parent: parent.clone(), ..JobOptions::default() });
    rig.queue.add_bulk((0..children).map(child).collect()).await.unwrap();
}

#[tokio::test]
async fn children_deep_in_a_long_line_are_taken_out_of_it_in_steps_that_redis_can_bear() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", ""); 20_000]).await.unwrap();
    parent_of(&rig, 600).await;
    let before = rig.queue.counts().await.unwrap();
    // To find 600 jobs in a line of 20 600 is to look at 12 million entries.
    let error = rig.queue.remove("parent", RemoveOptions::default()).await.unwrap_err();
    assert!(matches!(error, QueueError::InvalidArgument { field: "children", .. }), "{error}");
    assert_eq!(rig.queue.counts().await.unwrap(), before);
    let (mut steps, mut largest) = (0, 0);
    let removed = rig
        .queue
        .remove_unprocessed_children("parent", {
            let mut last = 0;
            let (steps, largest) = (&mut steps, &mut largest);
            move |progress: Progress| {
                *steps += 1;
                *largest = u64::max(*largest, progress.jobs - last);
                last = progress.jobs;
            }
        })
        .await
        .unwrap();
    assert_eq!(removed, 600);
    assert!(steps >= 3 && largest <= 5_000_000 / 20_000, "{steps} steps of up to {largest} jobs");
    rig.queue.remove("parent", RemoveOptions::default()).await.unwrap();
    assert_eq!(rig.queue.counts().await.unwrap().of(JobState::Waiting), 20_000);
}

#[tokio::test]
async fn children_that_are_gone_are_not_looked_for_in_a_long_line() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", ""); 20_000]).await.unwrap();
    rig.queue.add(job("echo", "parent")).await.unwrap();
    let mut command = vec!["HSET".to_owned(), "bull:q:parent:processed".to_owned()];
    command.extend((0..1000).flat_map(|number| [format!("bull:q:gone{number}"), "1".to_owned()]));
    rig.raw.call(&command).await.ok();
    rig.raw.reset_stats().await;
    rig.queue.remove("parent", RemoveOptions::default()).await.unwrap();
    assert!(rig.raw.command_stats().await["lrem"] <= 3);
}

#[tokio::test]
async fn a_flow_in_a_circle_is_refused() {
    let rig = Rig::start().await;
    rig.queue.add_bulk(vec![job("echo", "a"), job("echo", "b")]).await.unwrap();
    rig.raw.call(&["SADD", "bull:q:a:dependencies", "bull:q:b"]).await.ok();
    rig.raw.call(&["SADD", "bull:q:b:dependencies", "bull:q:a"]).await.ok();
    let error = rig.queue.remove("a", RemoveOptions::default()).await.unwrap_err();
    assert!(matches!(error, QueueError::InvalidArgument { field: "children", .. }), "{error}");
    rig.queue.remove("a", RemoveOptions { children: false }).await.unwrap();
    rig.queue.remove("b", RemoveOptions::default()).await.unwrap();
}

#[tokio::test]
async fn stalled_and_due_jobs_go_back_to_the_places_that_are_theirs() {
    let rig = Rig::start().await;
    let (prioritized, lifo) = (Priority::new(3).unwrap(), true);
    let opts = JobOptions { priority: prioritized, ..JobOptions::default() };
    rig.queue.add_bulk(["silent", "urgent"].map(|id| with("echo", id, opts.clone())).to_vec()).await.unwrap();
    rig.queue.add_bulk(vec![job("echo", "plain"), job("echo", "lost")]).await.unwrap();
    rig.queue.pause().await.unwrap();
    rig.raw.call(&["ZREM", "bull:q:prioritized", "silent"]).await.ok();
    rig.raw.call(&["LREM", "bull:q:wait", "1", "lost"]).await.ok();
    rig.raw.call(&["RPUSH", "bull:q:active", "silent", "lost"]).await.ok();
    rig.raw.call(&["SADD", "bull:q:stalled", "silent", "lost"]).await.ok();
    let due = JobOptions { delay_ms: 1, ..JobOptions::default() };
    rig.queue
        .add_bulk(vec![
            with("echo", "due", due.clone()),
            with("echo", "due-first", JobOptions { lifo, ..due.clone() }),
            with("echo", "due-urgent", JobOptions { priority: prioritized, lifo, ..due }),
        ])
        .await
        .unwrap();
    let worker = rig.worker_with(options(&rig.queue, 1)).await;
    rig.until(JobState::Delayed, 0).await;
    rig.until(JobState::Active, 0).await;
    let mut wait = rig.raw.call(&["LRANGE", "bull:q:wait", "0", "-1"]).await.texts();
    // The check and the claim come in either order.
    let firsts = wait.split_off(2);
    assert_eq!(wait, ["due", "plain"]);
    assert!(firsts.contains(&"lost".to_owned()) && firsts.contains(&"due-first".to_owned()), "{firsts:?}");
    let ids = rig.raw.call(&["ZRANGE", "bull:q:prioritized", "0", "-1"]).await.texts();
    assert_eq!(ids, ["silent", "urgent", "due-urgent"]);
    worker.stop(Duration::ZERO).await;
}
