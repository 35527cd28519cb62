//! One server: numbered databases, users with few rights, Valkey, and servers of another kind than the URL says.

use std::time::Duration;

use operator_core::QueueName;
use operator_queue::{Queue, Redis, RedisConfig, RedisError, Role};
use operator_testkit::redis::{Program, RedisCluster, RedisSentinel, RedisServer};

use super::life::{live, live_as};
use crate::rig::job;

#[tokio::test]
async fn a_job_lives_on_valkey() {
    let server = RedisServer::builder().program(Program::Valkey).start().await;
    live(&RedisConfig::new(server.url()), &["q", "r"]).await;
}

#[tokio::test]
async fn a_job_lives_in_the_database_that_the_url_names() {
    let server = RedisServer::start().await;
    live(&RedisConfig::new(format!("{}/3", server.url())), &["q", "r"]).await;
    let keyspace = server.client().await.info("keyspace").await;
    assert_eq!(keyspace.keys().filter(|name| name.starts_with("db")).collect::<Vec<_>>(), ["db3"]);
}

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_told_at_once() {
    let server = RedisServer::start().await;
    let error = refusal(&format!("{}/99", server.url())).await;
    assert!(matches!(error, RedisError::RefusedUs { .. }) && error.to_string().contains("DB index"), "{error}");
}

#[tokio::test]
async fn a_server_of_another_kind_is_told_with_the_url_to_use() {
    let server = RedisServer::start().await;
    let error = refusal(&server.url().replace("redis://", "redis-cluster://")).await.to_string();
    assert!(error.contains("no cluster: use redis:// instead of redis-cluster://"), "{error}");
    let cluster = RedisCluster::start().await;
    let error = refusal(&cluster.node(0).url()).await.to_string();
    assert!(error.contains("a server of a cluster: use redis-cluster://"), "{error}");
    let group = RedisSentinel::start().await;
    let sentinel = group.url().replace("redis-sentinel://", "redis://");
    let error = refusal(&sentinel[..sentinel.find('?').unwrap()]).await.to_string();
    assert!(error.contains("a Sentinel: use redis-sentinel://"), "{error}");
    let error = refusal(&group.url().replace("mymaster", "another")).await.to_string();
    assert!(error.contains("sentinelServiceName"), "{error}");
}

async fn refusal(url: &str) -> RedisError {
    let config = RedisConfig { connect_timeout: Duration::from_secs(2), ..RedisConfig::new(url) };
    match Redis::connect(&config).await {
        Ok(_) => panic!("{url} should have been refused"),
        Err(error) => error,
    }
}

/// The `ACL SETUSER` lines of the page, by the user they make.
fn documented(user: &str) -> String {
    let page = include_str!("../../../../docs/redis.md");
    let start = format!("ACL SETUSER {user} ");
    let line = page.lines().find(|line| line.starts_with(&start)).expect("the page has a line for each user");
    line.strip_prefix("ACL SETUSER ").unwrap().to_owned()
}

/// The URL under which `user` connects; the page's lines set the user's name as its password.
fn url_of(server: &RedisServer, user: &str) -> String {
    server.url_as(user, "choose-a-password", 0)
}

#[tokio::test]
async fn users_with_the_documented_rights_can_do_their_work() {
    let users = ["operator-dispatcher", "operator-worker", "operator-producer"];
    let settings = users.iter().fold(RedisServer::builder(), |settings, user| settings.user(&documented(user)));
    let server = settings.start().await;
    let config = |user| RedisConfig::new(url_of(&server, user));
    live_as(&config("operator-dispatcher"), &config("operator-worker"), &["q", "r"]).await;
    for (user, role) in users.iter().zip([Role::Dispatcher, Role::Worker, Role::Producer]) {
        let redis = Redis::connect(&RedisConfig::new(url_of(&server, user))).await.unwrap();
        redis
            .check_rights(role)
            .await
            .unwrap_or_else(|error| panic!("add to the line of {user} in docs/redis.md: {error}"));
    }
    let producer = Redis::connect(&RedisConfig::new(url_of(&server, "operator-producer"))).await.unwrap();
    let queue = Queue::new(&producer, QueueName::new("p").unwrap());
    queue.add(job("echo", "a")).await.unwrap();
    let error = queue.workers().await.unwrap_err().to_string();
    assert!(error.contains("docs/redis.md"), "a producer has no other rights: {error}");
    let worker = RedisConfig::new(url_of(&server, "operator-worker"));
    let options = super::life::options(std::slice::from_ref(&queue));
    let started = operator_queue::worker::Worker::start(&worker, options, std::sync::Arc::new(crate::rig::Script));
    let worker = started.await.unwrap();
    let dispatcher = Redis::connect(&RedisConfig::new(url_of(&server, "operator-dispatcher"))).await.unwrap();
    super::life::finished(&Queue::new(&dispatcher, queue.name().clone()), 1, 0).await;
    worker.stop(Duration::from_secs(5)).await;
    let log = server.client().await.call(&["ACL", "LOG"]).await;
    let denied: Vec<(String, String)> =
        log.list().iter().map(|entry| (entry.list()[9].text(), entry.list()[7].text())).collect();
    assert_eq!(denied, [("operator-producer".to_owned(), "client|list".to_owned())], "user and command");
}

#[tokio::test]
async fn missing_rights_are_named_at_the_start() {
    let without = |right: &str| documented("operator-worker").replace(&format!(" +{right} "), " ");
    let cases = [
        (without("xadd"), "XADD"),
        (without("evalsha"), "evalsha"),
        (without("info"), "info"),
        (documented("operator-worker").replace("~bull:*", "~other:*"), "keys"),
    ];
    for (line, missing) in cases {
        let server = RedisServer::builder().user(&line).start().await;
        let config = RedisConfig::new(url_of(&server, "operator-worker"));
        let checked = match Redis::connect(&config).await {
            Ok(redis) => redis.check_rights(Role::Worker).await,
            Err(error) => Err(error),
        };
        let error = checked.expect_err(missing);
        assert!(matches!(error, RedisError::Denied { .. }), "{missing}: {error}");
        let error = error.to_string();
        assert!(error.contains(missing) && error.contains("docs/redis.md"), "{missing}: {error}");
    }
}
