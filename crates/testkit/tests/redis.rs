//! The private server: starts, dies, returns, stands still, and shows its keys.

use operator_testkit::redis::Content;
use operator_testkit::{RedisServer, Reply};

#[tokio::test]
async fn a_durable_server_keeps_acknowledged_writes_over_a_kill() {
    let mut redis = RedisServer::builder().durable().start().await;
    let client = redis.client().await;
    assert_eq!(client.call(&["SET", "kept", "yes"]).await, Reply::Status("OK".into()));
    let port = redis.port();
    redis.kill();
    assert!(client.try_call(&["PING"]).await.is_err(), "a killed server answers nobody");
    redis.restart().await;
    assert_eq!(redis.port(), port);
    assert_eq!(client.call(&["GET", "kept"]).await.text(), "yes");
}

#[tokio::test]
async fn a_plain_server_forgets_everything_when_restarted() {
    let mut redis = RedisServer::start().await;
    let client = redis.client().await;
    client.call(&["SET", "lost", "yes"]).await.ok();
    redis.restart().await;
    assert!(redis.client().await.call(&["GET", "lost"]).await.is_nil());
}

#[tokio::test]
async fn a_password_is_demanded_and_is_part_of_the_url() {
    let redis = RedisServer::builder().password("s3cret").start().await;
    assert_eq!(redis.url(), format!("redis://:s3cret@127.0.0.1:{}", redis.port()));
    let stranger = operator_testkit::RedisClient::new(redis.port(), None);
    assert!(stranger.call(&["GET", "a"]).await.error().unwrap().starts_with("NOAUTH"));
    assert!(redis.client().await.call(&["GET", "a"]).await.is_nil());
}

#[tokio::test]
async fn a_paused_server_answers_after_it_is_resumed() {
    let redis = RedisServer::builder().set("maxmemory-policy", "allkeys-lru").start().await;
    let client = redis.client().await;
    client.call(&["SET", "a", "1"]).await.ok();
    redis.pause();
    let asked = tokio::spawn(async move { client.call(&["INCR", "a"]).await.int() });
    redis.resume();
    assert_eq!(asked.await.unwrap(), 2);
    let policy = redis.client().await.call(&["CONFIG", "GET", "maxmemory-policy"]).await.map();
    assert_eq!(policy["maxmemory-policy"], "allkeys-lru");
}

#[tokio::test]
async fn commands_are_counted_by_name() {
    let redis = RedisServer::start().await;
    let client = redis.client().await;
    client.call(&["SET", "a", "1"]).await.ok();
    client.reset_stats().await;
    client.call(&["EVAL", "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[1])", "1", "a"]).await.ok();
    let stats = client.command_stats().await;
    assert_eq!((stats["incr"], stats["eval"], stats.get("set")), (2, 1, None));
    assert!(client.used_cpu().await > 0.0);
}

#[tokio::test]
async fn a_dump_shows_every_key_under_a_prefix_and_no_other() {
    let redis = RedisServer::start().await;
    let client = redis.client().await;
    let commands: [&[&str]; 8] = [
        &["SET", "p[1]:text", "t", "PX", "60000"],
        &["RPUSH", "p[1]:list", "b", "a"],
        &["SADD", "p[1]:set", "m"],
        &["HSET", "p[1]:hash", "f", "v"],
        &["ZADD", "p[1]:zset", "2", "two", "1", "one"],
        &["XADD", "p[1]:stream", "1-1", "event", "added"],
        &["SET", "p1:other", "x"],
        &["SET", "q", "x"],
    ];
    for command in commands {
        client.call(command).await.ok();
    }
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let dump = client.dump("p[1]:").await;
    let contents: Vec<_> = dump.into_iter().map(|(key, entry)| (key, entry.content, entry.expires)).collect();
    let expected = [
        ("hash", Content::Hash([pair("f", "v")].into()), false),
        ("list", Content::List(vec!["b".into(), "a".into()]), false),
        ("set", Content::Set(["m".to_owned()].into()), false),
        ("stream", Content::Stream(vec![("1-1".into(), vec![pair("event", "added")])]), false),
        ("text", Content::Text("t".into()), true),
        ("zset", Content::Sorted(vec![pair("one", "1"), pair("two", "2")]), false),
    ];
    assert_eq!(contents, expected.map(|(key, content, expires)| (format!("p[1]:{key}"), content, expires)));
}

#[tokio::test]
async fn many_servers_start_at_once_on_ports_of_their_own() {
    let starts: Vec<_> = (0..6).map(|_| tokio::spawn(RedisServer::start())).collect();
    let mut servers = Vec::new();
    for start in starts {
        servers.push(start.await.unwrap());
    }
    let ports: std::collections::BTreeSet<_> = servers.iter().map(RedisServer::port).collect();
    assert_eq!(ports.len(), servers.len());
}
