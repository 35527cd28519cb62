//! The dispatcher as a process: what it says when it cannot start, how it ends, what it measures.

use std::net::SocketAddr;

use operator_testkit::process::{Process, ProcessBuilder};
use operator_testkit::{RedisServer, eventually};
use serde_json::json;
use tempfile::TempDir;

use crate::http::Request;
use crate::worker;

fn builder(redis: &str, folder: &TempDir) -> ProcessBuilder {
    Process::builder(env!("CARGO_BIN_EXE_operator-dispatcher"))
        .folder(folder.path())
        .env("PORT", "0")
        .env("OPERATOR_BIND", "127.0.0.1")
        .env("REDIS_URL", redis)
        .env("OPERATOR_ARCHIVE_INTERVAL_MS", "100")
}

/// Waits until it answers, and tells where.
async fn address(process: &Process) -> SocketAddr {
    let line = process.wait_for_line("where it answers", |line| line.contains("the dispatcher answers")).await;
    let text = line.split(['"', '=', ' ']).find(|part| part.starts_with("127.0.0.1:")).expect(&line);
    text.parse().unwrap()
}

/// Starts it, waits until it has given up, and checks its code and that its last words have `parts` and no secret.
async fn refuses(builder: ProcessBuilder, code: i32, parts: &[&str]) {
    let mut process = builder.start();
    assert_eq!(process.wait_exit().await, Some(code));
    let output = process.output().await.join("\n");
    for part in parts {
        assert!(output.contains(part), "`{part}` is not in:\n{output}");
    }
    assert!(!output.contains("hunter2") && !output.contains("panicked"), "{output}");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_all_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let builder = builder("redis://127.0.0.1", &folder)
        .env("PORT", "http")
        .env("LOG_LEVEL", "loud")
        .env("OPERATOR_MAX_BULK_JOBS", "0")
        .env("OPERATOR_API_KEY_FILE", "/does/not/exist");
    refuses(builder, 78, &["PORT", "LOG_LEVEL", "OPERATOR_MAX_BULK_JOBS", "OPERATOR_API_KEY_FILE"]).await;
}

#[tokio::test]
async fn servers_that_cannot_be_used_are_named_with_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    refuses(builder("http://:hunter2@localhost", &folder), 78, &["REDIS_URL", "redis://"]).await;
    let evicting = RedisServer::builder().set("maxmemory-policy", "allkeys-lru").start().await;
    refuses(builder(&evicting.url(), &folder), 78, &["allkeys-lru", "noeviction"]).await;
    let locked = RedisServer::builder().password("right").start().await;
    let wrong = format!("redis://:hunter2@127.0.0.1:{}", locked.port());
    refuses(builder(&wrong, &folder), 78, &["REDIS_URL", "refused"]).await;

    let with_database = |url: &str| builder(&redis.url(), &folder).env("DATABASE_URL", url);
    refuses(with_database("mysql://u:hunter2@h/d"), 78, &["DATABASE_URL", "postgres://"]).await;
    refuses(with_database("sqlite:///proc/none/x.db"), 78, &["/proc/none/x.db"]).await;
    let both = builder("ftp://x", &folder).env("DATABASE_URL", "mysql://h/d");
    refuses(both, 78, &["REDIS_URL", "DATABASE_URL"]).await;
}

#[tokio::test]
async fn servers_that_are_away_are_waited_for_and_then_named() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let nobody = operator_testkit::process::free_port();
    let database = format!("postgres://u:hunter2@127.0.0.1:{nobody}/d");
    let address = format!("127.0.0.1:{nobody}");
    let away = builder(&format!("redis://:hunter2@{address}"), &folder);
    let no_database = builder(&redis.url(), &folder).env("DATABASE_URL", &database);
    let (of_redis, of_database) = ([address.as_str(), "REDIS_URL"], [address.as_str(), "postgres"]);
    tokio::join!(refuses(away, 69, &of_redis), refuses(no_database, 69, &of_database));
}

#[tokio::test]
async fn a_port_in_use_is_named_before_anything_else_happens() {
    let folder = tempfile::tempdir().unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    refuses(builder("redis://127.0.0.1:1", &folder).env("PORT", &port), 78, &[&port, "in use", "PORT"]).await;
}

#[tokio::test]
async fn it_ends_well_when_asked_to_and_says_where_its_settings_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let mut process = Process::builder(env!("CARGO_BIN_EXE_operator-dispatcher"))
        .folder(folder.path())
        .env("PORT", "0")
        .env("OPERATOR_BIND", "127.0.0.1")
        .env("BR_OS_QUEUE_URL", redis.url())
        .env("DB_URL", "sqlite://mine.db")
        .start();
    let address = address(&process).await;
    process
        .wait_for_line("the older name", |line| line.contains("REDIS_URL") && line.contains("BR_OS_QUEUE_URL"))
        .await;
    assert!(folder.path().join("mine.db").exists());
    process.terminate();
    eventually("/ready to say no", async || {
        let answer = Request::new(address, "GET", "/ready").try_send().await.ok()?;
        (answer.status == 503).then_some(())
    })
    .await;
    assert_eq!(process.wait_exit().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let mut process = builder(&redis.url(), &folder).start();
    address(&process).await;
    process.terminate();
    process.wait_for_line("that it stops", |line| line.contains("stopping")).await;
    process.terminate();
    assert_eq!(process.wait_exit().await, Some(75));
}

#[tokio::test]
async fn its_metrics_describe_requests_queues_and_history() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let process = builder(&redis.url(), &folder).start();
    let address = address(&process).await;
    let jobs = json!([{"name": "echo"}, {"name": "echo"}, {"name": "echo", "opts": {"delay": 3_600_000}},
        {"name": "echo", "opts": {"delay": 3_600_000, "jobId": "same"}}, {"name": "echo", "opts": {"jobId": "same"}}]);
    assert_eq!(Request::new(address, "POST", "/v1/queues/mail/jobs").json(&jobs).send().await.status, 202);
    assert_eq!(Request::new(address, "GET", "/jobs/none").send().await.status, 404);
    let metrics = async || Request::new(address, "GET", "/metrics").send().await.text();
    let text = metrics().await;
    for line in [
        r#"operator_http_requests_total{route="/queues/{queue}/jobs",method="POST",status="202"} 1"#,
        r#"operator_http_requests_total{route="/jobs/{id}",method="GET",status="404"} 1"#,
        r#"operator_http_request_seconds_count{route="/jobs/{id}",method="GET"} 1"#,
        r#"operator_queue_jobs{queue="mail",state="waiting"} 2"#,
        r#"operator_queue_jobs{queue="mail",state="delayed"} 2"#,
        r#"operator_queue_paused{queue="mail"} 0"#,
        r#"operator_queue_workers{queue="mail"} 0"#,
        r#"operator_history_backlog_entries{queue="mail"} 0"#,
        r#"operator_history_lag_seconds{queue="mail"} 0"#,
        r#"operator_jobs_added_total{queue="mail"} 4"#,
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(text.contains(r#"operator_queue_oldest_waiting_age_seconds{queue="mail"}"#), "{text}");
    let worker = worker::start(&redis.url(), &["mail"]).await;
    eventually("the stored records to be counted", async || {
        metrics().await.contains(r#"operator_history_records_total{outcome="stored"} 2"#).then_some(())
    })
    .await;
    worker::stop(worker).await;
}
