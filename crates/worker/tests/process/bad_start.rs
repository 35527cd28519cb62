//! Each way in which a worker cannot start: its exit code, and the one message that says what to change.

use operator_testkit::RedisServer;
use operator_testkit::process::free_port;
use operator_testkit::redis::{RedisCluster, TlsRedis};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::running::program;

const CONFIG: i32 = 78;
const UNAVAILABLE: i32 = 69;

/// Stands in every URL, and must stand in no output.
const PASSWORD: &str = "hunter2";

/// Starts a worker that must end with `code` and one complaint that holds all of `words`.
async fn check(case: &str, variables: &[(&str, &str)], code: i32, words: &[&str]) {
    let mut process = program()
        .env("HEALTH_PORT", "0")
        .env("OPERATOR_BIND", "127.0.0.1")
        .env("LOG_LEVEL", "trace")
        .envs(variables.iter().copied())
        .start();
    assert_eq!(process.wait_exit().await, Some(code), "{case}");
    let output = process.output().await;
    let complaints: Vec<_> = output.iter().filter(|line| is_complaint(line)).collect();
    assert_eq!(complaints.len(), 1, "{case}: {complaints:#?}");
    for word in words {
        assert!(complaints[0].contains(word), "{case}: `{word}` is missing: {}", complaints[0]);
    }
    for secret in [PASSWORD, "panicked"] {
        let leaks: Vec<_> = output.iter().filter(|line| line.contains(secret)).collect();
        assert!(leaks.is_empty(), "{case}: {leaks:#?}");
    }
}

/// An error in the log, or anything that is not a log line.
fn is_complaint(line: &str) -> bool {
    serde_json::from_str::<Value>(line).map_or(true, |line| line["level"] == "ERROR")
}

fn url(port: u16) -> String {
    format!("redis://:{PASSWORD}@127.0.0.1:{port}")
}

#[tokio::test]
async fn bad_settings_are_all_named_at_once() {
    let variables = [
        ("REDIS_URL", "http://:hunter2@localhost"),
        ("QUEUE_NAME", "mail,a:b"),
        ("WORKER_CONCURRENCY", "many"),
        ("HEALTH_PORT", "x"),
    ];
    let words = ["REDIS_URL", "redis://", "QUEUE_NAME", "colon", "WORKER_CONCURRENCY", "1 to 10000", "HEALTH_PORT"];
    check("bad settings", &variables, CONFIG, &words).await;
}

#[tokio::test]
async fn a_wrong_url_is_explained() {
    for (wrong, words) in [
        ("localhost:6379", ["REDIS_URL", "redis://"]),
        ("redis://:hunter2@localhost/queue", ["REDIS_URL", "database number"]),
        ("redis://:hunter2@localhost:99999", ["REDIS_URL", "port"]),
    ] {
        check(wrong, &[("REDIS_URL", wrong)], CONFIG, &words).await;
    }
}

#[tokio::test]
async fn a_redis_of_another_form_than_the_url_says_is_explained() {
    let cluster = RedisCluster::start().await;
    let plain = url(cluster.node(0).port()).replace(&format!(":{PASSWORD}@"), "");
    check("a cluster", &[("REDIS_URL", &plain)], CONFIG, &["redis-cluster://", "hash tag"]).await;
    let variables = [("REDIS_URL", &*cluster.url()), ("QUEUE_NAME", "mail")];
    check("no hash tag", &variables, CONFIG, &["OPERATOR_PREFIX to `{bull}`", "`{mail}`"]).await;
    let tls = TlsRedis::start().await;
    check("a stranger", &[("REDIS_URL", &tls.url())], CONFIG, &["REDIS_CA_FILE"]).await;
    let variables = [("REDIS_URL", &*tls.url()), ("REDIS_CA", "no certificate")];
    check("no certificate", &variables, CONFIG, &["REDIS_CA"]).await;
}

#[tokio::test]
async fn missing_rights_are_named() {
    let redis = RedisServer::builder().user(&format!("few on >{PASSWORD} ~bull:* +@all -bzpopmin -xadd")).start().await;
    let url = redis.url_as("few", PASSWORD, 0);
    check("few rights", &[("REDIS_URL", &url)], CONFIG, &["docs/redis.md", "bzpopmin"]).await;
}

#[tokio::test]
async fn an_unreachable_redis_is_named_by_its_address() {
    let port = free_port();
    let words = ["REDIS_URL", &format!("127.0.0.1:{port}")];
    check("unreachable", &[("REDIS_URL", &url(port))], UNAVAILABLE, &words).await;
}

#[tokio::test]
async fn a_redis_that_refuses_the_password_is_explained() {
    let redis = RedisServer::builder().password("another").start().await;
    check("wrong password", &[("REDIS_URL", &url(redis.port()))], CONFIG, &["REDIS_URL", "password"]).await;
    let without = format!("redis://127.0.0.1:{}", redis.port());
    check("no password", &[("REDIS_URL", &without)], CONFIG, &["REDIS_URL", "password"]).await;
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_with_the_remedy() {
    let redis = RedisServer::builder().set("maxmemory-policy", "allkeys-lru").password(PASSWORD).start().await;
    check("evicting", &[("REDIS_URL", &redis.url())], CONFIG, &["maxmemory-policy", "noeviction"]).await;
}

#[tokio::test]
async fn a_redis_that_is_too_old_is_refused_with_the_version_needed() {
    let port = an_old_redis().await;
    check("too old", &[("REDIS_URL", &url(port))], CONFIG, &["5.0.14", "6.2"]).await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_variable() {
    let redis = RedisServer::builder().password(PASSWORD).start().await;
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let variables = [("REDIS_URL", &*redis.url()), ("HEALTH_PORT", &*port)];
    check("port in use", &variables, CONFIG, &["HEALTH_PORT", &port, "in use"]).await;
}

#[tokio::test]
async fn the_command_line_is_explained() {
    let mut help = program().arg("--help").start();
    assert_eq!(help.wait_exit().await, Some(0));
    let text = help.output().await.join("\n");
    assert!(text.contains("WORKER_CONCURRENCY") && text.contains("[default: 10]"), "{text}");

    let mut version = program().arg("--version").start();
    assert_eq!(version.wait_exit().await, Some(0));
    assert_eq!(version.output().await, [format!("operator-worker {}", env!("CARGO_PKG_VERSION"))]);

    let mut unknown = program().arg("--queue=mail").start();
    assert_eq!(unknown.wait_exit().await, Some(2));
}

/// A server that says it is Redis 5 and otherwise agrees to everything. Returns its port.
async fn an_old_redis() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    let request = String::from_utf8_lossy(&buffer[..read]).to_uppercase();
                    // One answer per command; commands that are sent together come as so many arrays.
                    for command in request.split("\r\n*") {
                        let answer = if command.contains("INFO") {
                            let info = "redis_version:5.0.14\r\n";
                            format!("${}\r\n{info}\r\n", info.len())
                        } else {
                            "+OK\r\n".to_owned()
                        };
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    port
}
