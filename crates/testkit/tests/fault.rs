//! The proxy: what a client sees, and what reaches the server nevertheless.

use std::io::ErrorKind;

use operator_testkit::fault::{Cut, Proxy, Side};
use operator_testkit::{RedisClient, RedisServer, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Setup {
    redis: RedisServer,
    proxy: Proxy,
    /// Through the proxy.
    client: RedisClient,
    /// Beside it.
    truth: RedisClient,
}

async fn setup() -> Setup {
    let redis = RedisServer::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let client = RedisClient::new(proxy.port(), None);
    let truth = redis.client().await;
    assert_eq!(client.call(&["INCR", "n"]).await.int(), 1);
    Setup { redis, proxy, client, truth }
}

#[tokio::test]
async fn a_reset_and_a_close_look_different_to_the_client() {
    let setup = setup().await;
    let Setup { proxy, .. } = &setup;
    let mut buffer = [0; 8];
    let mut reset = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    reset.write_all(b"PING\r\n").await.unwrap();
    reset.read_exact(&mut buffer[..7]).await.unwrap();
    proxy.cut(Cut::Reset).await;
    assert_eq!(reset.read(&mut buffer).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut closed = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    closed.write_all(b"PING\r\n").await.unwrap();
    closed.read_exact(&mut buffer[..7]).await.unwrap();
    proxy.cut(Cut::Close).await;
    assert_eq!(closed.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn after_a_cut_new_connections_are_served() {
    let setup = setup().await;
    let Setup { proxy, client, redis, .. } = &setup;
    proxy.cut(Cut::Reset).await;
    assert_eq!(proxy.connections(), 0);
    assert!(client.try_call(&["INCR", "n"]).await.is_err());
    assert_eq!(client.call(&["INCR", "n"]).await.int(), 2);
    assert_eq!(redis.url_on(proxy.port()), format!("redis://127.0.0.1:{}", proxy.port()));
}

#[tokio::test]
async fn while_refused_nobody_gets_through() {
    let setup = setup().await;
    let Setup { proxy, client, .. } = &setup;
    proxy.refuse().await;
    for _ in 0..3 {
        assert!(client.try_call(&["INCR", "n"]).await.is_err());
    }
    proxy.heal();
    assert_eq!(client.call(&["INCR", "n"]).await.int(), 2);
}

#[tokio::test]
async fn a_stalled_request_goes_through_when_healed() {
    let setup = setup().await;
    let Setup { proxy, client, truth, .. } = &setup;
    proxy.stall();
    let heal = async {
        assert_eq!(truth.call(&["GET", "n"]).await.int(), 1, "the request is held back");
        proxy.heal();
    };
    let (reply, ()) = tokio::join!(client.call(&["INCR", "n"]), heal);
    assert_eq!(reply.int(), 2);
}

#[tokio::test]
async fn a_stalled_connection_can_be_cut() {
    let setup = setup().await;
    let Setup { proxy, client, .. } = &setup;
    proxy.stall();
    let (reply, ()) = tokio::join!(client.try_call(&["INCR", "n"]), proxy.cut(Cut::Reset));
    assert!(reply.is_err());
}

#[tokio::test]
async fn a_lost_reply_leaves_its_effect() {
    let setup = setup().await;
    let Setup { proxy, client, truth, .. } = &setup;
    proxy.lose_replies();
    assert!(client.try_call(&["INCR", "n"]).await.is_err());
    assert_eq!(truth.call(&["GET", "n"]).await.int(), 2);
    proxy.heal();
    assert_eq!(client.call(&["INCR", "n"]).await.int(), 3);
}

#[tokio::test]
async fn only_the_reply_to_the_marked_request_is_lost_and_only_once() {
    let setup = setup().await;
    let Setup { proxy, client, truth, .. } = &setup;
    proxy.lose_reply_to("marked");
    assert_eq!(client.call(&["INCR", "n"]).await.int(), 2);
    assert!(client.try_call(&["INCR", "marked"]).await.is_err());
    assert_eq!(truth.call(&["GET", "marked"]).await.int(), 1);
    assert_eq!(client.call(&["INCR", "marked"]).await.int(), 2);
}

#[tokio::test]
async fn swallowed_replies_leave_the_connection_open() {
    let setup = setup().await;
    let Setup { proxy, client, truth, .. } = &setup;
    proxy.swallow_replies();
    let effect = eventually("the effect", async || (truth.call(&["GET", "n"]).await.int() == 2).then_some(()));
    tokio::select! {
        reply = client.try_call(&["INCR", "n"]) => panic!("{reply:?} should have been swallowed"),
        () = effect => assert_eq!(proxy.connections(), 1),
    }
}

#[tokio::test]
async fn a_connection_is_cut_in_the_middle_of_an_answer() {
    let setup = setup().await;
    let Setup { proxy, .. } = &setup;
    proxy.cut_after_bytes(Side::Replies, 3);
    let mut raw = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    raw.write_all(b"PING\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The reset may overtake the three bytes, but no more than they ever arrive.
    let _ = raw.read_to_end(&mut answer).await;
    assert!(b"+PO".starts_with(&answer), "{answer:?}");
}

#[tokio::test]
async fn a_request_that_was_cut_short_has_no_effect() {
    let setup = setup().await;
    let Setup { proxy, client, truth, .. } = &setup;
    proxy.cut_after_bytes(Side::Requests, 10);
    assert!(client.try_call(&["INCR", "n"]).await.is_err());
    assert_eq!(truth.call(&["GET", "n"]).await.int(), 1);
    assert_eq!(client.call(&["INCR", "n"]).await.int(), 2);
}

#[tokio::test]
async fn a_held_request_waits_for_the_test_and_may_outlive_its_client() {
    let setup = setup().await;
    let Setup { proxy, client, truth, .. } = &setup;
    let held = proxy.hold_request("INCR");
    let forward = async {
        held.arrived().await;
        assert_eq!(truth.call(&["GET", "n"]).await.int(), 1);
        held.forward();
    };
    let (reply, ()) = tokio::join!(client.call(&["INCR", "n"]), forward);
    assert_eq!(reply.int(), 2);

    let held = proxy.hold_request("INCR");
    let part = async {
        held.arrived().await;
        held.part().await;
    };
    let (reply, ()) = tokio::join!(client.try_call(&["INCR", "n"]), part);
    assert!(reply.is_err());
    assert_eq!(client.call(&["INCR", "n"]).await.int(), 3, "the request has not come yet");
    held.deliver().await;
    assert_eq!(truth.call(&["GET", "n"]).await.int(), 4);
}
