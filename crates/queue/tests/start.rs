//! The first connection: what a server must be, and what is said when it is not.

use std::time::Duration;

use operator_queue::{Redis, RedisConfig, RedisError};
use operator_testkit::ports::PortLease;
use operator_testkit::redis::RedisServer;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

async fn refusal(url: &str) -> RedisError {
    let config = RedisConfig { connect_timeout: Duration::from_secs(2), ..RedisConfig::new(url) };
    match Redis::connect(&config).await {
        Ok(_) => panic!("{url} should have been refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_with_the_remedy() {
    let server = RedisServer::builder().set("maxmemory-policy", "allkeys-lru").start().await;
    let error = refusal(&server.url()).await;
    assert_eq!(error, RedisError::Evicts { policy: "allkeys-lru".to_owned() });
    assert!(error.to_string().contains("CONFIG SET maxmemory-policy noeviction"), "{error}");
}

#[tokio::test]
async fn nobody_at_the_address_is_said_within_the_time_given() {
    let port = PortLease::take().port();
    let error = refusal(&format!("redis://:hunter2@127.0.0.1:{port}")).await.to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("REDIS_URL"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_server_that_is_away() {
    let server = RedisServer::builder().password("right").start().await;
    for url in [format!("redis://:wrong@127.0.0.1:{}", server.port()), format!("redis://127.0.0.1:{}", server.port())] {
        let error = refusal(&url).await.to_string();
        assert!(error.contains("password"), "{error}");
        assert!(!error.contains("wrong@"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_by_its_version() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(answer_as_an_old_server(listener));
    let error = refusal(&url).await;
    assert_eq!(error, RedisError::TooOld { version: "5.0.14".to_owned(), needed: "6.2.0" });
    server.abort();
}

/// Speaks just enough of the protocol to tell its age: no server that old can be installed any more.
async fn answer_as_an_old_server(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (requests, mut answers) = stream.into_split();
            let mut lines = BufReader::new(requests).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Some(parts) = line.strip_prefix('*').and_then(|count| count.parse::<usize>().ok()) else {
                    continue;
                };
                let mut words = Vec::new();
                for _ in 0..parts {
                    lines.next_line().await.ok();
                    words.push(lines.next_line().await.ok().flatten().unwrap_or_default());
                }
                let info = "redis_version:5.0.14\r\nmaxmemory_policy:noeviction\r\n";
                let answer = match words[0].to_uppercase().as_str() {
                    "INFO" => format!("${}\r\n{info}\r\n", info.len()),
                    "CLIENT" => ":1\r\n".to_owned(),
                    _ => "+OK\r\n".to_owned(),
                };
                if answers.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}
