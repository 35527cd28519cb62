//! `/health` tells whether the claim loop turns, `/ready` whether Redis answers.

use operator_testkit::RedisServer;

use crate::running::Running;

#[tokio::test]
async fn health_fails_while_redis_hangs_and_returns_with_it() {
    let redis = RedisServer::start().await;
    // A short lock keeps the bound at its least.
    let worker = Running::start(&redis.url(), &[("OPERATOR_LOCK_DURATION_MS", "1000")]).await;
    assert_eq!((worker.get("/health").await.0, worker.get("/ready").await.0), (200, 200));

    redis.pause();
    let (ready, reason) = worker.get("/ready").await;
    assert_eq!((ready, worker.get("/health").await.0), (503, 200), "{reason}");
    let reason = worker.wait_for_status("/health", 503).await;
    assert!(reason.contains("claims: the claim loop has had no answer from redis"), "{reason}");

    redis.resume();
    worker.wait_for_status("/health", 200).await;
    worker.wait_for_status("/ready", 200).await;
    let (status, version) = worker.get("/version").await;
    assert!(status == 200 && version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}
