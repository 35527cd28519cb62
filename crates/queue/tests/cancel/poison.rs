//! Jobs that their workers die of.

use std::time::Duration;

use operator_core::{Job, JobOptions, JobState, JobStatus};
use operator_queue::RetryOptions;
use operator_queue::worker::{Consumer, WorkerOptions};
use operator_testkit::wait::eventually;

use crate::rig::{Rig, options, with};
use crate::{finished, status};

/// A worker called `name` takes the job and is gone.
async fn die_of(rig: &Rig, name: &str) {
    let moment = Duration::from_millis(1);
    let hasty = WorkerOptions {
        lock_duration: moment,
        stalled_interval: moment,
        name: Some(name.to_owned()),
        ..options(&rig.queue, 1)
    };
    let consumer = Consumer::new(rig.queue.clone(), &hasty);
    consumer.claim().await.unwrap().job.unwrap();
    eventually("the job to come back", async || {
        let back = consumer.check_stalled().await.ok()?;
        (!back.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_quarantined_with_what_is_known() {
    let rig = Rig::start().await;
    rig.queue.add(with("echo", "a", JobOptions { attempts: 10, ..JobOptions::default() })).await.unwrap();
    die_of(&rig, "first").await;
    assert_eq!(rig.queue.job("a").await.unwrap().unwrap().attempts_made, 0, "no attempt was made");
    die_of(&rig, "second").await;
    let worker = rig.worker(1).await;
    let (job, state) = finished(&rig.queue, "a").await;
    assert_eq!((state, job.failed_reason.as_deref()), (JobState::Failed, Some(Job::STALLED_TOO_OFTEN)));
    assert!(job.is_quarantined());
    assert_eq!((job.status(state), job.stalled), (JobStatus::Failed, 2));
    let evidence = job.stacktrace.join("\n");
    assert!(evidence.contains("2 of its workers") && evidence.contains("last worker: second"), "{evidence}");

    rig.queue.retry("a", RetryOptions::AFRESH).await.unwrap();
    assert_eq!(status(&rig.queue, "a").await, JobStatus::Completed);
    let again = rig.queue.job("a").await.unwrap().unwrap();
    assert_eq!((again.stalled, again.is_quarantined()), (0, false), "it was put back in line by hand");
    worker.stop(Duration::ZERO).await;
}
