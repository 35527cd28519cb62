//! A line to Redis whose answers take a millisecond longer, as in a data centre next door.
//!
//! Threads and not tasks: the runtime's clock is no finer than the delay itself.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const DELAY: Duration = Duration::from_millis(1);

/// As much as one read takes.
const BUFFER: usize = 64 * 1024;

/// The port of a line to the server on `port`. It stands until the program ends.
pub(crate) fn line_to(port: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || carry(from_client, to_server, Duration::ZERO));
            thread::spawn(move || carry(server, client, DELAY));
        }
    });
    own
}

/// Carries what comes, each piece `delay` after it came, until either side ends.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (pieces, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    let ends = to.try_clone().unwrap();
    let writer = thread::spawn(move || {
        for (at, piece) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; BUFFER];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if pieces.send((Instant::now() + delay, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(pieces);
    drop(writer.join());
    let _ = ends.shutdown(Shutdown::Both);
}
