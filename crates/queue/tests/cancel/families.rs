//! What a cancellation means to parents and children.

use std::time::Duration;

use operator_core::{FlowJob, JobId, JobOptions, JobState, JobStatus, Json, QueueName};
use operator_queue::worker::WorkerOptions;
use operator_queue::{CancelOptions, CancelStage, FlowProducer, Queue};
use operator_testkit::wait::eventually;

use crate::rig::{Rig, options};
use crate::{finished, status, until_active};

const WITH_CHILDREN: CancelOptions = CancelOptions { children: true };

fn node(queue: &str, name: &str, id: &str, opts: JobOptions) -> FlowJob {
    let opts = JobOptions { job_id: Some(JobId::from_wire(id)), ..opts };
    FlowJob::new(QueueName::new(queue).unwrap(), name, Json::null()).with(opts)
}

#[tokio::test]
async fn a_parent_is_told_of_a_cancelled_child_as_of_a_failed_one() {
    let rig = Rig::start().await;
    let default = JobOptions::default;
    for (parent, child, opts) in [
        ("strict", "c1", JobOptions { fail_parent_on_failure: true, ..default() }),
        ("lenient", "c2", JobOptions { ignore_dependency_on_failure: true, ..default() }),
        ("patient", "c3", default()),
    ] {
        let flow = node("q", "echo", parent, default()).waiting_for(node("q", "echo", child, opts));
        FlowProducer::new(&rig.redis).add(&flow).await.unwrap();
        let done = rig.queue.cancel(child, "", CancelOptions::default()).await.unwrap();
        assert_eq!((done.stage, done.children), (CancelStage::Ended, 0));
    }
    let worker = rig.worker(2).await;
    assert_eq!(status(&rig.queue, "strict").await, JobStatus::Failed, "its child failed it");
    assert_eq!(status(&rig.queue, "lenient").await, JobStatus::Completed);
    assert_eq!(rig.queue.state("patient").await.unwrap(), JobState::WaitingChildren, "until the child is retried");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn the_children_below_a_cancelled_job_go_with_it_wherever_they_are() {
    let rig = Rig::start().await;
    let other = Queue::new(&rig.redis, QueueName::new("other").unwrap());
    let default = JobOptions::default;
    let continues = JobOptions { continue_parent_on_failure: true, ..default() };
    let middle = node("q", "echo", "middle", default())
        .waiting_for(node("other", "hang", "running", continues))
        .waiting_for(node("q", "echo", "later", JobOptions { delay_ms: 600_000, ..default() }));
    let root = node("q", "echo", "root", default()).waiting_for(middle);
    FlowProducer::new(&rig.redis).add(&root).await.unwrap();
    let both = WorkerOptions {
        queues: vec![rig.queue.name().clone(), other.name().clone()],
        cancel_grace: Duration::from_millis(20),
        ..options(&rig.queue, 4)
    };
    let worker = rig.worker_with(both).await;
    until_active(&other, "running").await;

    let done = rig.queue.cancel("root", "not this one", WITH_CHILDREN).await.unwrap();
    assert_eq!((done.stage, done.children), (CancelStage::Ended, 3));
    for (queue, id) in [(&rig.queue, "root"), (&rig.queue, "middle"), (&rig.queue, "later"), (&other, "running")] {
        let (job, state) = finished(queue, id).await;
        assert_eq!(job.status(state), JobStatus::Cancelled, "{id}");
        assert_eq!(job.failed_reason.as_deref(), Some("cancelled: not this one"));
    }
    assert!(!rig.events().await.iter().any(|event| event.starts_with("active")), "no parent was let go by it");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_parent_that_is_cancelled_alone_leaves_its_children_be() {
    let rig = Rig::start().await;
    let flow = node("q", "echo", "p", JobOptions::default()).waiting_for(node("q", "echo", "c", JobOptions::default()));
    FlowProducer::new(&rig.redis).add(&flow).await.unwrap();
    rig.queue.cancel("p", "", CancelOptions::default()).await.unwrap();
    let worker = rig.worker(1).await;
    assert_eq!(status(&rig.queue, "c").await, JobStatus::Completed);
    assert_eq!(status(&rig.queue, "p").await, JobStatus::Cancelled, "and stays so");
    eventually("nothing to be left", async || (rig.queue.counts().await.ok()?.of(JobState::Active) == 0).then_some(()))
        .await;
    worker.stop(Duration::ZERO).await;
}
