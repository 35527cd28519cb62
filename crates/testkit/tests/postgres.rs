//! What the tests of other crates rely on in a private PostgreSQL server.

use std::net::{Ipv4Addr, TcpStream};

use operator_testkit::postgres::PostgresServer;

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn a_server_answers_until_it_is_dropped_and_leaves_nothing_behind() {
    let server = PostgresServer::start();
    let port = server.port();
    assert!(answers(port));
    drop(server);
    assert!(!answers(port));
}

#[test]
fn a_killed_server_comes_back_on_its_port() {
    let mut server = PostgresServer::start();
    server.kill();
    assert!(!answers(server.port()));
    server.restart();
    assert!(answers(server.port()));
    assert_ne!(server.new_database(), "");
}

#[test]
fn tests_share_a_server_and_have_databases_of_their_own() {
    let (one, other) = (PostgresServer::shared(), PostgresServer::shared());
    assert_eq!(one.port(), other.port());
    assert_ne!(one.new_database(), other.new_database());
}
