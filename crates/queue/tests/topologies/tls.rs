//! TLS: it is spoken, and what is wrong with it is said.

use std::time::Duration;

use operator_queue::{Redis, RedisConfig, RedisError};
use operator_testkit::redis::TlsRedis;

use super::life::live;

fn config(url: &str, authorities: Option<String>) -> RedisConfig {
    let config = RedisConfig::new(url).with_authorities(authorities);
    RedisConfig { connect_timeout: Duration::from_secs(2), ..config }
}

async fn refusal(config: &RedisConfig) -> String {
    match Redis::connect(config).await {
        Ok(_) => panic!("the connection should have been refused"),
        Err(error) => {
            assert!(error.is_final(), "waiting does not help: {error}");
            error.to_string()
        }
    }
}

#[tokio::test]
async fn a_job_lives_over_tls_with_an_authority_of_its_own() {
    let server = TlsRedis::start().await;
    live(&config(&server.url(), Some(server.authority())), &["q", "r"]).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_with_the_remedy() {
    let server = TlsRedis::start().await;
    let error = refusal(&config(&server.url(), None)).await;
    assert!(error.contains("REDIS_CA_FILE") && error.contains("UnknownIssuer"), "{error}");
    let stranger = TlsRedis::start().await;
    let error = refusal(&config(&server.url(), Some(stranger.authority()))).await;
    assert!(error.contains("REDIS_CA_FILE"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_with_the_remedy() {
    let server = TlsRedis::called("redis.example").await;
    let error = refusal(&config(&server.url(), Some(server.authority()))).await;
    assert!(error.contains("another name") && error.contains("REDIS_URL"), "{error}");
}

#[tokio::test]
async fn tls_to_a_plain_port_and_plain_to_a_tls_port_are_told() {
    let server = TlsRedis::start().await;
    let plain = format!("rediss://localhost:{}", server.plain().port());
    let encrypted = format!("redis://localhost:{}", server.port());
    // With time to look for the reason while the connection is tried, and without.
    for connect_timeout in [Duration::from_secs(10), Duration::from_millis(100)] {
        let config = |url| RedisConfig { connect_timeout, ..config(url, Some(server.authority())) };
        let error = refusal(&config(&plain)).await;
        assert!(error.contains("it speaks no TLS: use redis://"), "{error}");
        let error = refusal(&config(&encrypted)).await;
        assert!(error.contains("it speaks TLS: use rediss://"), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_before_anything_is_tried() {
    let error = RedisConfig::new("rediss://localhost").with_authorities(Some("nothing".to_owned())).check();
    assert!(matches!(error, Err(RedisError::Authority { .. })), "{error:?}");
}
