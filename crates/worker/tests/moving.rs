//! The steps of `docs/move-from-bullmq.md`, taken with the application in `interop/mail`: first our worker takes the
//! place of Node's, then our producers take the place of Node's.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[path = "../examples/mail.rs"]
#[expect(dead_code, reason = "a test starts the jobs and not the process around them")]
mod mail;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use operator_core::settings::Reader;
use operator_core::{FlowJob, NewJob, QueueName};
use operator_dispatcher::{Dispatcher, Settings};
use operator_queue::events::Finished;
use operator_queue::worker::RateLimit;
use operator_queue::{FlowProducer, JobTemplate, Queue, Range, Redis, RedisConfig, Repeat};
use operator_telemetry::{Identity, Metrics};
use operator_testkit::process::Process;
use operator_testkit::wait::LIMIT;
use operator_testkit::{BullMq, NodePeer, RedisServer, eventually};
use operator_worker::Worker;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const INTEROP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop");
const PAGE: &str = include_str!("../../../docs/move-from-bullmq.md");
const USERS: usize = 30;

/// The application on a Redis of its own, with our look at its queue and BullMQ's.
struct Application {
    redis: RedisServer,
    queue: Queue,
    peer: NodePeer,
}

impl Application {
    async fn new() -> Self {
        let redis = RedisServer::start().await;
        let ours = Redis::connect(&RedisConfig::new(redis.url())).await.unwrap();
        // Also puts the packages in place.
        let peer = NodePeer::bullmq(BullMq::V6, &redis.url(), "bull").await;
        Self { queue: Queue::new(&ours, QueueName::new("mail").unwrap()), redis, peer }
    }

    fn script(&self, arguments: &[&str]) -> Process {
        let node = Process::builder("node").args(arguments).name(arguments[0]).folder(INTEROP);
        node.env("REDIS_URL", self.redis.url()).start()
    }

    async fn node_worker(&self) -> Process {
        let worker = self.script(&["mail/worker.mjs"]);
        worker.wait_for_line("that it is ready", |line| line == "ready").await;
        worker
    }

    async fn our_worker(&self) -> Worker {
        let builder = Worker::builder(self.redis.url()).queue("mail").concurrency(5).name("rust");
        builder.with_job_types(mail::register).start().await.unwrap()
    }

    fn producer(&self, run: &str, users: usize) -> Process {
        self.script(&["mail/producer.mjs", run, &users.to_string()])
    }

    /// What Node's producer prints in a run, without the name of the run.
    async fn produced(&self, run: &str) -> Vec<String> {
        lines(self.producer(run, USERS), run).await
    }

    /// Which worker ran each welcome of a run last.
    async fn workers_of(&self, run: &str) -> BTreeSet<String> {
        let mut workers = BTreeSet::new();
        for user in 0..USERS {
            let job = self.queue.job(&format!("welcome-{run}-{user}")).await.unwrap().unwrap();
            assert_eq!(job.attempts_made, if user % 3 == 0 { 2 } else { 1 }, "{}", job.id);
            workers.insert(job.processed_by.unwrap());
        }
        workers
    }

    /// How often each job completed.
    async fn completions(&self) -> BTreeMap<String, usize> {
        let entries = self.redis.client().await.call(&["XRANGE", "bull:mail:events", "-", "+"]).await;
        let mut completions = BTreeMap::new();
        for entry in entries.list() {
            let fields = entry.list()[1].map();
            if fields["event"] == "completed" {
                *completions.entry(fields["jobId"].clone()).or_default() += 1;
            }
        }
        completions
    }

    /// The result of a job, and who gave it.
    async fn result(&self, id: &str) -> (Value, String) {
        let end = self.queue.wait_until_finished(id, LIMIT).await.unwrap();
        let Finished::Completed(result) = end else { panic!("{id} failed: {end:?}") };
        let worker = self.queue.job(id).await.unwrap().unwrap().processed_by.unwrap();
        (result.decode().unwrap(), worker)
    }
}

async fn lines(mut producer: Process, run: &str) -> Vec<String> {
    assert_eq!(producer.wait_exit().await, Some(0), "{:?}", producer.lines());
    producer.output().await.iter().map(|line| line.replace(run, "<run>")).collect()
}

/// The block of the page that opens with this fence.
fn block(fence: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(fence).unwrap();
    rest.split_once("```").unwrap().0
}

#[tokio::test]
async fn the_application_prints_what_the_page_shows() {
    let app = Application::new().await;
    let worker = app.node_worker().await;
    let mut producer = app.producer("first", 3);
    assert_eq!(producer.wait_exit().await, Some(0));
    let printed: Vec<_> = worker.lines().into_iter().chain(producer.output().await).collect();
    let shown: Vec<_> = block("```console\n").lines().collect();
    assert_eq!(printed, shown);
}

#[tokio::test]
async fn our_worker_takes_the_place_of_nodes_and_its_producer_does_not_notice() {
    let app = Application::new().await;
    let node = app.node_worker().await;
    let before = app.produced("before").await;
    assert_eq!(app.workers_of("before").await, BTreeSet::from(["node".to_owned()]));

    let ours = app.our_worker().await;
    both_take_jobs(&app, &before).await;
    let listed = app.peer.call("getWorkers", json!({ "queue": "mail" })).await;
    let names: BTreeSet<_> =
        listed.as_array().unwrap().iter().map(|worker| worker["rawname"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["bull:bWFpbA==:w:node", "bull:bWFpbA==:w:rust"]));
    ours.stop(LIMIT).await;

    let ours = end_node_in_the_middle(&app, node, &before).await;
    assert_eq!(app.produced("after").await, before);
    assert_eq!(app.workers_of("after").await, BTreeSet::from(["rust".to_owned()]));
    ours.stop(LIMIT).await;

    let _node = app.node_worker().await;
    assert_eq!(app.produced("back").await, before, "every step can be taken back");
    assert!(app.completions().await.values().all(|times| *times == 1), "no job completes twice");
    assert_eq!(app.queue.counts().await.unwrap().unfinished(), 0);
}

/// Lets the producer run until both workers had a part in what it added.
async fn both_take_jobs(app: &Application, before: &[String]) {
    for round in 0..50 {
        let run = format!("mixed{round}");
        assert_eq!(app.produced(&run).await, before);
        if app.workers_of(&run).await.len() == 2 {
            return;
        }
    }
    panic!("one of the workers never takes a job");
}

/// Node's worker is told to end while most of a run still waits; a limit of the queue keeps it from being quicker.
async fn end_node_in_the_middle(app: &Application, mut node: Process, before: &[String]) -> Worker {
    let limit = RateLimit { max: 5, duration: Duration::from_secs(3600) };
    app.queue.set_global_rate_limit(limit).await.unwrap();
    let producer = app.producer("swap", USERS);
    eventually("the first jobs to run", async || {
        let started = app.queue.job("welcome-swap-4").await.ok()??.processed_by;
        (started.as_deref() == Some("node")).then_some(())
    })
    .await;
    let ours = app.our_worker().await;
    node.terminate();
    assert_eq!(node.wait_exit().await, Some(0));
    let left = app.queue.count().await.unwrap();
    assert!(left >= USERS as u64 - 5, "{left} wait");

    app.queue.remove_global_rate_limit().await.unwrap();
    app.queue.remove_rate_limit().await.unwrap();
    assert_eq!(lines(producer, "swap").await, before);
    assert_eq!(app.workers_of("swap").await, BTreeSet::from(["node".to_owned(), "rust".to_owned()]));
    ours
}

#[tokio::test]
async fn nodes_worker_runs_what_our_producers_add() {
    let app = Application::new().await;
    let _node = app.node_worker().await;
    let by_node = |result: Value| (result, "node".to_owned());

    let body = block("-d '\n").split_once('\'').unwrap().0;
    let ids = post(&app.redis.url(), "/queues/mail/jobs", body).await["ids"].take();
    assert_eq!(app.result(ids[0].as_str().unwrap()).await, by_node(json!({ "sentTo": "user7@example.org" })));

    let added = app.queue.add(NewJob::new("welcome", json!({ "to": "user4@example.org" }))).await.unwrap();
    assert_eq!(app.result(added.as_str()).await, by_node(json!({ "sentTo": "user4@example.org" })));

    let mail = || QueueName::new("mail").unwrap();
    let section = |topic: &str| FlowJob::new(mail(), "section", json!({ "topic": topic }));
    let digest = FlowJob::new(mail(), "digest", json!({})).waiting_for(section("news")).waiting_for(section("jobs"));
    let redis = Redis::connect(&RedisConfig::new(app.redis.url())).await.unwrap();
    let flow = FlowProducer::new(&redis).add(&digest).await.unwrap();
    let sections = json!({ "sections": ["everything about jobs", "everything about news"] });
    assert_eq!(app.result(flow.id.as_str()).await, by_node(sections));

    let template =
        JobTemplate { name: Some("remind".to_owned()), data: json!({ "run": "us" }).into(), ..Default::default() };
    app.queue.upsert_scheduler("reminder", &Repeat::every(500), &template).await.unwrap();
    let reminders = eventually("two reminders", async || {
        let page = Range { first: 0, last: 99, ascending: true };
        let ids = app.queue.ids(operator_core::JobState::Completed, page).await.ok()?;
        let ids: Vec<_> = ids.into_iter().filter(|id| id.starts_with("repeat:reminder:")).collect();
        (ids.len() >= 2).then_some(ids)
    })
    .await;
    assert!(app.queue.remove_scheduler("reminder").await.unwrap());
    for id in reminders {
        assert_eq!(app.result(&id).await, by_node(json!("reminded by us")));
    }
}

/// Has a dispatcher answer one POST.
async fn post(redis_url: &str, path: &str, body: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("operator.db").display());
    let variables =
        [("PORT", "0"), ("OPERATOR_BIND", "127.0.0.1"), ("REDIS_URL", redis_url), ("DATABASE_URL", &database)];
    let source = HashMap::from(variables);
    let mut reader = Reader::new(&source);
    let settings = Settings::read(&mut reader);
    reader.finish().unwrap();
    let [service, version, commit, env] = ["test", "0", "none", "test"].map(str::to_owned);
    let identity = Identity { service, version, commit, env };
    let metrics = Metrics::detached(&identity);
    let dispatcher = Dispatcher::build(&settings, identity, metrics).await.unwrap();
    let (address, stop) = (dispatcher.address().unwrap(), CancellationToken::new());
    let running = tokio::spawn(dispatcher.run(stop.clone()));

    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 202 "), "{answer}");
    serde_json::from_str(body).unwrap()
}
