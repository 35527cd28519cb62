//! A worker with packs: what it runs, what it publishes, and what keeps it from starting.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::fs;
use std::time::Duration;

use operator_core::JobState;
use operator_queue::catalogue::{adverts, job_types};
use operator_queue::{Queue, Redis, RedisConfig};
use operator_testkit::{RedisServer, eventually};
use operator_worker::{Context, Json, NewJob, Worker, WorkerBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

const MANIFEST: &str = r#"id: mixed
version: 2.1.0
job_types:
  mixed.greet:
    input: {required: [name], properties: {name: {type: string}}}
    output: {required: [greeting]}
    executor:
      command: {program: python3, args: [jobs/greet.py]}
    defaults: {attempts: 3}
  mixed.double:
    input: {type: integer}
    executor:
      rust: {}
"#;

const GREET: &str = r#"
import json, sys
name = json.loads(sys.stdin.readline())["data"]["name"]
print(json.dumps({"operator": "result", "result": {"greeting": "Hello " + name} if name else {}}))
"#;

fn pack() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("jobs")).unwrap();
    fs::write(folder.path().join("jobs/greet.py"), GREET).unwrap();
    fs::write(folder.path().join("pack.yaml"), MANIFEST).unwrap();
    folder
}

fn builder(redis: &RedisServer, pack: &TempDir) -> WorkerBuilder {
    let builder = Worker::builder(redis.url()).queue("q").name("one").concurrency(4).packs(pack.path());
    builder.pack_settings(|settings| settings.sandbox.uids = None)
}

async fn double(number: u64, _: Context) -> Result<u64, operator_worker::Failure> {
    Ok(number * 2)
}

/// Adds a job and waits for its end: its result, or why it failed.
async fn run(queue: &Queue, name: &str, data: Value) -> Result<Json, String> {
    let id = queue.add(NewJob::new(name, data)).await.unwrap();
    eventually(name, async || {
        let state = queue.state(id.as_str()).await.unwrap();
        if !matches!(state, JobState::Completed | JobState::Failed) {
            return None;
        }
        let job = queue.job(id.as_str()).await.unwrap()?;
        Some(job.return_value.clone().ok_or_else(|| job.failed_reason.clone().unwrap_or_default()))
    })
    .await
}

#[tokio::test]
async fn programs_and_functions_of_a_pack_run_with_their_data_and_results_checked() {
    let (redis, pack) = (RedisServer::start().await, pack());
    let worker = builder(&redis, &pack).job("mixed.double", double).start().await.unwrap();
    let client = Redis::connect(&RedisConfig::new(redis.url())).await.unwrap();
    let queue = Queue::new(&client, "q".to_owned().try_into().unwrap());

    let greeted = run(&queue, "mixed.greet", json!({"name": "Ada"})).await.unwrap();
    assert_eq!(greeted.decode::<Value>().unwrap(), json!({"greeting": "Hello Ada"}));
    assert_eq!(run(&queue, "mixed.double", json!(21)).await.unwrap().as_str(), "42");
    for (name, data, told) in [
        ("mixed.greet", json!({}), "the data does not fit `mixed.greet`: /name: is missing"),
        ("mixed.greet", json!({"name": ""}), "the result does not fit `mixed.greet`: /greeting: is missing"),
        ("mixed.double", json!("x"), "the data does not fit `mixed.double`: value is not of type"),
    ] {
        let reason = run(&queue, name, data).await.unwrap_err();
        assert!(reason.starts_with(told), "{reason}");
    }
    worker.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn what_a_worker_runs_is_published_until_it_stops_and_remembered_after() {
    let (redis, pack) = (RedisServer::start().await, pack());
    let worker = builder(&redis, &pack).job("mixed.double", double).job("alone", double).start().await.unwrap();
    let client = Redis::connect(&RedisConfig::new(redis.url())).await.unwrap();

    let advert = adverts(&client).await.unwrap().remove(0);
    assert_eq!((advert.name.as_str(), advert.queues[0].as_str(), advert.any_name), ("one", "q", false));
    let packs: Vec<_> = advert.packs.iter().map(|pack| (pack.id.as_str(), pack.version.to_string())).collect();
    assert_eq!(packs, [("mixed", "2.1.0".to_owned()), ("system", env!("CARGO_PKG_VERSION").to_owned())]);
    assert_eq!(advert.job_types, ["alone"]);
    assert!(advert.runs("system.echo") && advert.runs("mixed.greet") && !advert.runs("none"));

    worker.stop(Duration::ZERO).await;
    assert!(adverts(&client).await.unwrap().is_empty());
    let names = ["mixed.greet", "alone", "none"].map(str::to_owned);
    let records = job_types(&client, &names).await.unwrap();
    let greet = records[0].as_ref().unwrap();
    assert_eq!((greet.record.pack.as_deref(), greet.record.info.defaults.attempts), (Some("mixed"), Some(3)));
    assert!(greet.record.info.input.is_some() && records[1].is_some() && records[2].is_none());
}

#[tokio::test]
async fn a_pack_that_cannot_be_run_keeps_the_worker_from_starting() {
    let (redis, pack) = (RedisServer::start().await, pack());
    let start = async |pack: &TempDir| {
        let started = builder(&redis, pack).start().await;
        started.err().expect("it does not start").to_string()
    };
    let told = start(&pack).await;
    assert!(told.contains("mixed.double of the pack mixed@2.1.0") && told.contains("nobody registered"), "{told}");
    fs::remove_file(pack.path().join("jobs/greet.py")).unwrap();
    fs::write(pack.path().join("pack.yaml"), MANIFEST.replace("attempts", "atempts")).unwrap();
    let told = start(&pack).await;
    assert!(told.contains("pack.yaml:9: job_types.mixed.greet.defaults.atempts: is not known here"), "{told}");
}
