//! BullMQ's tools on queues that only we have filled and worked: bull-board's pages and buttons, through the JSON API
//! that its pages use, and BullMQ's own Prometheus export.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;

use std::collections::BTreeMap;
use std::time::Duration;

use operator_core::{FlowJob, JobId, JobOptions, JobState, Priority, QueueName};
use operator_queue::worker::{Worker, WorkerOptions};
use operator_queue::{FlowProducer, JobTemplate, Queue, Repeat};
use operator_testkit::{BullMq, NodePeer, eventually};
use rig::{Rig, job, options, with};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The jobs of the queue `q` by their states, oldest first where that is how they are kept.
const JOBS: [(&str, &[&str]); 7] = [
    ("waiting", &["waits"]),
    ("active", &["runs"]),
    ("completed", &["flaky", "done"]),
    ("failed", &["broken"]),
    ("delayed", &["later"]),
    ("prioritized", &["first", "second"]),
    ("waiting-children", &["parent"]),
];

fn queue_name(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// A queue with jobs in every state, a scheduler and a worker that runs; and a paused queue with one job.
async fn filled() -> (Rig, Worker) {
    let rig = Rig::start().await;
    rig.queue.register().await.unwrap();
    // Nothing dies here: the job that runs is to stay this worker's, however slow the machine is.
    let patient = Duration::from_secs(600);
    let counting = WorkerOptions {
        metrics_max_data_points: Some(60),
        name: Some("ours".to_owned()),
        lock_duration: patient,
        stalled_interval: patient,
        ..options(&rig.queue, 1)
    };
    let worker = rig.worker_with(counting).await;
    let twice = JobOptions { attempts: 2, ..JobOptions::default() };
    rig.queue.add_bulk(vec![with("flaky", "flaky", twice.clone()), with("fail", "broken", twice)]).await.unwrap();
    rig.queue.add(job("echo", "done")).await.unwrap();
    rig.until(JobState::Completed, 2).await;
    rig.until(JobState::Failed, 1).await;
    rig.queue.add(job("hang", "runs")).await.unwrap();
    rig.until(JobState::Active, 1).await;
    rig.queue.add_logs("done", &["one".to_owned(), "two".to_owned()], None).await.unwrap();
    rig.queue.update_progress("runs", &json!({ "half": true }).into()).await.unwrap();

    let later = JobOptions { delay_ms: 600_000, ..JobOptions::default() };
    let prioritized = |number| JobOptions { priority: Priority::new(number).unwrap(), ..JobOptions::default() };
    let rest =
        [("waits", JobOptions::default()), ("later", later), ("second", prioritized(9)), ("first", prioritized(1))];
    rig.queue.add_bulk(rest.map(|(id, opts)| with("echo", id, opts)).to_vec()).await.unwrap();
    let with_id = |id| JobOptions { job_id: Some(JobId::from_wire(id)), ..JobOptions::default() };
    let child = FlowJob::new(queue_name("paused"), "echo", json!({})).with(with_id("child"));
    let parent = FlowJob::new(queue_name("q"), "echo", json!({})).with(with_id("parent")).waiting_for(child);
    FlowProducer::new(&rig.redis).add(&parent).await.unwrap();
    let paused = Queue::new(&rig.redis, queue_name("paused"));
    paused.pause().await.unwrap();
    let template = JobTemplate { name: Some("echo".to_owned()), ..JobTemplate::default() };
    paused.upsert_scheduler("nightly", &Repeat::cron("0 3 * * *").in_zone("Europe/Berlin"), &template).await.unwrap();
    (rig, worker)
}

/// A bull-board on one of BullMQ's releases.
struct Board {
    _peer: NodePeer,
    port: u16,
}

impl Board {
    async fn of(rig: &Rig, release: &str) -> Self {
        let url = rig.server.url();
        let environment = [("BULLMQ", release), ("REDIS_URL", url.as_str())];
        let peer = NodePeer::start("board.mjs", &["q", "paused"], &environment).await;
        let port = peer.hello()["port"].as_u64().unwrap().try_into().unwrap();
        Self { _peer: peer, port }
    }

    /// The status and body of a request, as plain as one request needs.
    async fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let head = format!("{method} /api{path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Presses a button.
    async fn press(&self, path: &str) {
        let (status, body) = self.ask("PUT", path).await;
        assert!((200..300).contains(&status), "{path}: {status} {body}");
    }

    /// The queue `q` with a page of its jobs in one state.
    async fn page(&self, state: &str) -> Value {
        let page = format!("/queues?activeQueue=q&status={state}&page=1&jobsPerPage=10");
        let mut queues = self.read(&page).await["queues"].take();
        queues.as_array_mut().unwrap().iter_mut().find(|queue| queue["name"] == "q").unwrap().take()
    }

    async fn job(&self, id: &str) -> Value {
        self.read(&format!("/queues/q/{id}")).await
    }
}

async fn shows_everything(release: &str) {
    let (rig, worker) = filled().await;
    let board = Board::of(&rig, release).await;
    for (state, ids) in JOBS {
        let page = board.page(state).await;
        assert_eq!(page["counts"][state], ids.len(), "{state}: {}", page["counts"]);
        let mut shown: Vec<_> =
            page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
        let mut ids = ids.to_vec();
        shown.sort_unstable();
        ids.sort_unstable();
        assert_eq!(shown, ids, "{state}");
        for id in ids {
            assert_eq!(board.job(id).await["status"], state, "{id}");
        }
    }
    let flaky = board.job("flaky").await["job"].take();
    assert_eq!((&flaky["attempts"], &flaky["returnValue"]), (&json!(2), &json!({ "of": "flaky" })), "{flaky}");
    assert_eq!((&flaky["processedBy"], &flaky["stacktrace"]), (&json!("ours"), &json!(["not yet"])), "{flaky}");
    let broken = board.job("broken").await["job"].take();
    assert_eq!((&broken["failedReason"], &broken["isFailed"]), (&json!("it failed"), &json!(true)), "{broken}");
    assert_eq!(broken["stacktrace"].as_array().unwrap().len(), 2, "{broken}");
    assert_eq!(board.job("runs").await["job"]["progress"], json!({ "half": true }));
    assert_eq!(board.read("/queues/q/done/logs").await, json!(["one", "two"]));
    shows_the_rest(&board).await;
    worker.stop(Duration::ZERO).await;
}

async fn shows_the_rest(board: &Board) {
    let queues = board.read("/queues").await["queues"].take();
    let of = |name: &str| queues.as_array().unwrap().iter().find(|queue| queue["name"] == name).unwrap();
    assert_eq!((&of("q")["isPaused"], &of("paused")["isPaused"]), (&json!(false), &json!(true)));
    assert_eq!((&of("q")["hasWorkers"], &of("paused")["hasWorkers"]), (&json!(true), &json!(false)));
    assert_eq!((&of("q")["jobSchedulerCount"], &of("paused")["jobSchedulerCount"]), (&json!(0), &json!(1)));
    let workers = board.read("/queues/q/workers").await["workers"].take();
    assert_eq!((workers.as_array().unwrap().len(), &workers[0]["name"]), (1, &json!("ours")), "{workers}");
    let scheduler = board.read("/job-schedulers").await["schedulers"][0].take();
    let shown = ["id", "name", "pattern", "tz", "queueName"].map(|field| scheduler[field].as_str().unwrap());
    assert_eq!(shown, ["nightly", "echo", "0 3 * * *", "Europe/Berlin", "paused"]);
    let metrics = board.read("/queues/q/metrics").await;
    assert_eq!((&metrics["completed"]["meta"]["count"], &metrics["failed"]["meta"]["count"]), (&json!(2), &json!(1)));
    let flow = board.read("/queues/q/parent/flow?depth=10&maxChildren=20").await;
    assert!(flow.to_string().contains("\"child\""), "{flow}");
}

#[tokio::test]
async fn bull_board_on_bullmq_6_shows_all_there_is_in_our_queues() {
    shows_everything("6").await;
}

#[tokio::test]
async fn bull_board_on_bullmq_5_shows_all_there_is_in_our_queues() {
    shows_everything("5").await;
}

async fn changes_our_jobs(release: &str) {
    let (rig, worker) = filled().await;
    let board = Board::of(&rig, release).await;
    let state = async |id: &str| rig.queue.state(id).await.unwrap();
    board.press("/queues/q/broken/retry").await;
    assert_eq!(state("broken").await, JobState::Waiting);
    board.press("/queues/q/later/promote").await;
    assert_eq!(state("later").await, JobState::Waiting);
    board.press("/queues/q/second/clean").await;
    assert!(rig.raw.keys("bull:q:second").await.is_empty());
    assert_eq!(board.ask("PUT", "/queues/q/runs/clean").await.0, 409, "a running job is not removed");

    let paused = Queue::new(&rig.redis, queue_name("paused"));
    board.press("/queues/paused/job-schedulers/nightly/remove").await;
    assert_eq!(paused.schedulers_count().await.unwrap(), 0);
    board.press("/queues/q/pause").await;
    board.press("/queues/paused/resume").await;
    assert!(rig.queue.is_paused().await.unwrap() && !paused.is_paused().await.unwrap());
    board.press("/queues/q/resume").await;
    worker.stop(Duration::ZERO).await;

    // What the board changed, our workers run: all but `broken`, which fails again.
    let both = WorkerOptions { queues: vec![queue_name("q"), queue_name("paused")], ..options(&rig.queue, 1) };
    rig.queue.remove("runs", operator_queue::RemoveOptions::default()).await.unwrap();
    let worker = rig.worker_with(both).await;
    rig.until(JobState::Completed, 6).await;
    rig.until(JobState::Failed, 1).await;
    assert_eq!(rig.queue.counts().await.unwrap().unfinished(), 0);
    assert_eq!(rig.queue.job("broken").await.unwrap().unwrap().attempts_made, 3);
    board.press("/queues/q/retry/failed").await;
    eventually("the failed job to fail once more", async || {
        (rig.queue.job("broken").await.ok()??.attempts_made == 4).then_some(())
    })
    .await;
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn bull_board_on_bullmq_6_changes_our_jobs() {
    changes_our_jobs("6").await;
}

#[tokio::test]
async fn bull_board_on_bullmq_5_changes_our_jobs() {
    changes_our_jobs("5").await;
}

/// The numbers of a text in Prometheus' form, by the name and labels in front of them.
fn numbers(text: &str) -> BTreeMap<&str, u64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, number)| (name, number.parse().unwrap())).collect()
}

#[tokio::test]
async fn bullmqs_prometheus_export_counts_our_jobs() {
    let (rig, worker) = filled().await;
    for release in [BullMq::V6, BullMq::V5] {
        let node = NodePeer::bullmq(release, &rig.server.url(), "bull").await;
        let text = node.queue("q", "exportPrometheusMetrics", json!([])).await;
        let numbers = numbers(text.as_str().unwrap());
        for (state, ids) in JOBS {
            let sample = format!("bullmq_job_count{{queue=\"q\", state=\"{state}\"}}");
            assert_eq!(numbers.get(sample.as_str()), Some(&(ids.len() as u64)), "{text}");
        }
        assert_eq!(numbers.get("bullmq_job_completed_total{queue=\"q\"}"), Some(&2), "{text}");
        assert_eq!(numbers.get("bullmq_job_failed_total{queue=\"q\"}"), Some(&1), "{text}");
    }
    worker.stop(Duration::ZERO).await;
}
