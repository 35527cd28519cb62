//! What workers publish of themselves: how long it stays, and what is remembered of job types.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

use std::time::Duration;

use operator_core::pack::{Advert, JobTypeInfo, PackInfo};
use operator_core::{Json, QueueName};
use operator_queue::catalogue::{AdvertiseOptions, Advertisement, adverts, job_type_names, job_types};
use operator_queue::{Redis, RedisConfig};
use operator_testkit::redis::{RedisCluster, RedisServer};
use operator_testkit::wait::eventually;

async fn connect(server: &RedisServer) -> Redis {
    Redis::connect(&RedisConfig::new(server.url())).await.unwrap()
}

fn advert(id: &str, version: &str, description: &str, names: &[&str]) -> Advert {
    let info = JobTypeInfo {
        description: description.to_owned(),
        input: Some(Json::parse(r#"{"type": "object"}"#).unwrap()),
        ..JobTypeInfo::default()
    };
    let pack = PackInfo {
        id: "pack".to_owned(),
        version: version.parse().unwrap(),
        name: String::new(),
        description: String::new(),
        tags: Vec::new(),
        capabilities: Vec::new(),
        depends_on: Vec::new(),
        job_types: names.iter().map(|name| ((*name).to_owned(), info.clone())).collect(),
    };
    Advert {
        id: id.to_owned(),
        name: format!("worker {id}"),
        queues: vec![QueueName::new("q").unwrap()],
        packs: vec![pack],
        job_types: vec!["bare".to_owned()],
        any_name: false,
        started_ms: 1,
    }
}

fn lease(ms: u64) -> AdvertiseOptions {
    AdvertiseOptions { lease: Duration::from_millis(ms), ..AdvertiseOptions::default() }
}

async fn versions(redis: &Redis, names: &[&str]) -> Vec<Option<String>> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let records = job_types(redis, &names).await.unwrap();
    records
        .into_iter()
        .map(|found| found.map(|found| found.record.version.map_or_else(String::new, |v| v.to_string())))
        .collect()
}

async fn ids(redis: &Redis) -> Vec<String> {
    adverts(redis).await.unwrap().into_iter().map(|advert| advert.id).collect()
}

#[tokio::test]
async fn an_entry_lasts_as_long_as_its_worker_and_the_record_of_its_job_types_for_ever() {
    let server = RedisServer::start().await;
    let (redis, client) = (connect(&server).await, server.client().await);
    let first = Advertisement::publish(&redis, advert("a", "1.0.0", "", &["x"]), lease(300)).await.unwrap();
    let second = Advertisement::publish(&redis, advert("b", "1.0.0", "", &["y"]), lease(300)).await.unwrap();
    assert_eq!(ids(&redis).await, ["a", "b"]);
    let left = async || client.call(&["PTTL", "bull::operator:{catalogue}:worker:a"]).await.ok().int();
    let mut least = left().await;
    eventually("the lease is renewed", async || {
        let now = left().await;
        let is_renewed = now > least;
        least = now;
        is_renewed.then_some(())
    })
    .await;
    first.withdraw().await.unwrap();
    assert_eq!(ids(&redis).await, ["b"]);
    drop(second);
    eventually("the lease ends", async || (ids(&redis).await.is_empty()).then_some(())).await;
    assert_eq!(job_type_names(&redis).await.unwrap(), ["bare", "x", "y"]);
    let keys = client.keys("bull").await.into_iter().collect::<Vec<_>>();
    assert_eq!(keys, ["bull::operator:{catalogue}:job-types"], "the dead are forgotten");
}

#[tokio::test]
async fn the_record_is_that_of_the_highest_version_with_its_schema() {
    let server = RedisServer::start().await;
    let redis = connect(&server).await;
    let mut kept = Vec::new();
    for version in ["1.9.0", "1.10.0", "1.2.0"] {
        kept.push(Advertisement::publish(&redis, advert(version, version, "", &["x"]), lease(60_000)).await.unwrap());
    }
    assert_eq!(versions(&redis, &["x", "bare", "none"]).await, [Some("1.10.0".to_owned()), Some(String::new()), None]);
    let record = job_types(&redis, &["x".to_owned()]).await.unwrap().remove(0).unwrap().record;
    assert_eq!(record.info.input.unwrap().as_str(), r#"{"type": "object"}"#);
    let live = adverts(&redis).await.unwrap();
    assert!(live.iter().all(|advert| advert.packs[0].job_types["x"].input.is_none()), "schemas are recorded once");
}

#[tokio::test]
async fn what_was_lost_by_the_server_is_published_again() {
    let server = RedisServer::start().await;
    let redis = connect(&server).await;
    let _kept = Advertisement::publish(&redis, advert("a", "1.0.0", "", &["x"]), lease(300)).await.unwrap();
    server.client().await.call(&["FLUSHALL"]).await.ok();
    eventually("the entry is back", async || (ids(&redis).await == ["a"]).then_some(())).await;
    eventually("the record is back", async || (versions(&redis, &["x"]).await[0].is_some()).then_some(())).await;
}

#[tokio::test]
async fn no_more_job_types_are_remembered_than_allowed() {
    let server = RedisServer::start().await;
    let redis = connect(&server).await;
    let options = AdvertiseOptions { max_job_types: 3, ..AdvertiseOptions::default() };
    let names: Vec<_> = (0..10).map(|number| format!("n{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let _kept = Advertisement::publish(&redis, advert("a", "1.0.0", "", &names), options).await.unwrap();
    assert_eq!(job_type_names(&redis).await.unwrap().len(), 3);
    let _newer = Advertisement::publish(&redis, advert("b", "2.0.0", "", &names), options).await.unwrap();
    assert_eq!(versions(&redis, &["n0"]).await, [Some("2.0.0".to_owned())], "what is there is kept current");
    assert_eq!(job_type_names(&redis).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_cluster_keeps_all_of_it_in_one_place() {
    let cluster = RedisCluster::start().await;
    let redis = Redis::connect(&RedisConfig::new(cluster.url())).await.unwrap();
    let one = Advertisement::publish(&redis, advert("a", "1.0.0", "", &["x"]), lease(60_000)).await.unwrap();
    let _other = Advertisement::publish(&redis, advert("b", "2.0.0", "", &["x"]), lease(60_000)).await.unwrap();
    assert_eq!(ids(&redis).await, ["a", "b"]);
    assert_eq!(versions(&redis, &["x"]).await, [Some("2.0.0".to_owned())]);
    one.withdraw().await.unwrap();
    assert_eq!(ids(&redis).await, ["b"]);
}
