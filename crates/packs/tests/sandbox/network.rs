//! Where a program may connect and listen.

use std::net::TcpListener;

use crate::harness::{Bench, Ended};

/// Connects and listens in every way, and says what worked.
const TRY: &str = r"
import socket, sys
granted, other = int(sys.argv[1]), int(sys.argv[2])
def attempt(name, function):
    try:
        function()
        print(name)
    except OSError: pass
def fast_open(port):
    with socket.socket() as s: s.sendto(b'x', 0x20000000, ('127.0.0.1', port))
def listen():
    with socket.socket() as s: s.listen()
attempt('granted', lambda: socket.create_connection(('127.0.0.1', granted)))
attempt('other', lambda: socket.create_connection(('127.0.0.1', other)))
attempt('fast', lambda: fast_open(other))
attempt('bind', lambda: socket.create_server(('127.0.0.1', 0)))
attempt('listen', listen)
attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt('unix', lambda: socket.socket(socket.AF_UNIX))
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('packet', lambda: socket.socket(17, socket.SOCK_RAW))
attempt('mptcp', lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
attempt('pair', socket.socketpair)
";

async fn attempt(connect: impl Fn(u16) -> Vec<u16>, bind: Vec<u16>) -> Ended {
    let bench = Bench::new();
    let (granted, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let mut program = bench.script("python3", TRY);
    program.args.extend([port(&granted).to_string(), port(&other).to_string()]);
    program.grants.connect = connect(port(&granted));
    program.grants.bind = bind;
    bench.run(program).await
}

fn worked(ended: &Ended) -> Vec<&str> {
    assert_eq!(ended.err, "");
    ended.out.lines().collect()
}

#[tokio::test]
async fn without_a_grant_there_is_no_network() {
    assert_eq!(worked(&attempt(|_| vec![], vec![]).await), ["pair"]);
}

#[tokio::test]
async fn a_granted_port_can_be_reached_and_no_other() {
    assert_eq!(worked(&attempt(|port| vec![port], vec![]).await), ["granted", "udp", "pair"]);
}

#[tokio::test]
async fn a_port_to_listen_on_must_be_granted_too() {
    assert_eq!(worked(&attempt(|_| vec![], vec![0]).await), ["bind", "listen", "udp", "pair"]);
}
