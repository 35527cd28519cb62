//! The servers that are more than one plain Redis: a cluster, a group under Sentinels, TLS, users, Valkey.

use std::process::{Command, Stdio};

use operator_testkit::redis::{Program, RedisCluster, RedisSentinel, TlsRedis};
use operator_testkit::{RedisClient, RedisServer, Reply};

#[tokio::test]
async fn a_cluster_has_its_slots_on_three_masters() {
    let mut cluster = RedisCluster::start().await;
    let (mut owners, mut asked) = (Vec::new(), Vec::new());
    for key in ["{a}", "{b}", "{c}"] {
        let owner = cluster.master_of(key).await;
        asked.push(cluster.client(owner).await.call(&["SET", key, "kept"]).await.ok());
        owners.push(owner);
    }
    assert_eq!(asked, vec![Reply::Status("OK".into()); 3]);
    let elsewhere = cluster.client((owners[0] + 1) % 3).await.call(&["GET", "{a}"]).await;
    assert!(elsewhere.error().unwrap().starts_with("MOVED"), "{elsewhere:?}");
    cluster.kill(owners[0]);
    cluster.restart(owners[0]).await;
    assert_eq!(cluster.client(owners[0]).await.call(&["GET", "{a}"]).await.text(), "kept");
    let to = (owners[0] + 1) % 3;
    cluster.move_slot("{a}", owners[0], to).await;
    assert_eq!(cluster.client(to).await.call(&["GET", "{a}"]).await.text(), "kept");
}

#[tokio::test]
async fn a_replica_of_a_cluster_takes_over_from_its_master() {
    let mut cluster = RedisCluster::with_replicas().await;
    let master = cluster.master_of("{a}").await;
    let owner = cluster.client(master).await;
    owner.call(&["SET", "{a}", "kept"]).await.ok();
    owner.call(&["SET", "{a}2", "", "PX", "1"]).await.ok();
    let replica = cluster.client(master + 3).await;
    // What the replica has not got when its master dies is lost. The server counts what this connection wrote.
    operator_testkit::eventually("the replica to have what was written", async || {
        (owner.call(&["WAIT", "1", "1000"]).await == Reply::Int(1)).then_some(())
    })
    .await;
    cluster.kill(master);
    operator_testkit::eventually("the replica to serve the slot", async || {
        (replica.call(&["GET", "{a}"]).await == Reply::Text(b"kept".to_vec())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sentinels_replace_a_master_that_is_asked_to_go_and_one_that_dies() {
    let mut group = RedisSentinel::start().await;
    group.client().await.call(&["SET", "a", "kept"]).await.ok();
    group.replicated().await;
    let second = group.failover().await;
    assert_ne!(second, 0);
    operator_testkit::eventually("the old master to follow the new one", async || {
        let info = group.server(0).client().await.info("replication").await;
        (info.get("master_link_status").map(String::as_str) == Some("up")).then_some(())
    })
    .await;
    let third = group.kill_master().await;
    assert_ne!(third, second);
    assert_eq!(group.client().await.call(&["GET", "a"]).await.text(), "kept");
}

#[tokio::test]
async fn a_server_with_tls_has_a_certificate_of_its_authority() {
    let redis = TlsRedis::start().await;
    assert_eq!(redis.client().await.call(&["PING"]).await, Reply::Status("PONG".into()));
    assert!(redis.authority().starts_with("-----BEGIN CERTIFICATE-----"));
    let plainly = RedisClient::new(redis.port(), None);
    assert!(plainly.try_call(&["PING"]).await.is_err(), "the TLS port takes nothing plain");
    let cli = Command::new("redis-cli")
        .args(["--tls", "-h", "localhost", "-p", &redis.port().to_string(), "--cacert"])
        .arg(redis.authority_file())
        .arg("PING")
        .stdin(Stdio::null())
        .output()
        .expect("redis-cli comes with the server");
    assert_eq!(String::from_utf8_lossy(&cli.stdout), "PONG\n");
}

#[tokio::test]
async fn a_user_has_only_its_rights() {
    let redis = RedisServer::builder().user("alice on >secret ~mine:* +get").start().await;
    assert_eq!(redis.url_as("alice", "secret", 3), format!("redis://alice:secret@127.0.0.1:{}/3", redis.port()));
    let alice = redis.client().await;
    assert!(alice.call(&["AUTH", "alice", "secret"]).await.error().is_none());
    assert!(alice.call(&["GET", "mine:a"]).await.is_nil());
    for refused in [&["GET", "other"][..], &["SET", "mine:a", "1"]] {
        assert!(alice.call(refused).await.error().unwrap().starts_with("NOPERM"), "{refused:?}");
    }
}

#[tokio::test]
async fn valkey_is_started_when_it_is_asked_for() {
    let valkey = RedisServer::builder().program(Program::Valkey).start().await;
    assert!(valkey.client().await.info("server").await.contains_key("valkey_version"));
}
