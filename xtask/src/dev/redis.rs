//! The Redis of a run: the one the user names, or a private one that ends with it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use operator_core::settings::vars;

use super::child::wait_for;
use super::folder::Folder;
use super::interrupt::Interrupt;
use super::port;
use super::services::setting;
use super::stack::Stack;
use crate::failure::{Failure, Result};
use crate::provide::{self, Need};

/// A Redis with the data of an earlier run reads it first.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The URL of a Redis that answers.
pub(super) fn provide(stack: &mut Stack, folder: &Folder, interrupt: &Interrupt) -> Result<String> {
    if let Some(url) = setting(&vars::REDIS_URL)? {
        println!("   Redis: the one in {}", vars::REDIS_URL.name);
        return Ok(url);
    }
    let server = provide::provide(&[Need::Redis])?.remove(0);
    let port = port::free()?;
    let mut command = Command::new(server);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--daemonize", "no"]);
    // A queue must not lose what it accepted: every write in a log, and nothing evicted.
    command.args([
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
        "--maxmemory-policy",
        "noeviction",
    ]);
    command.arg("--dir").arg(folder.redis());
    stack.start_redis(&mut command, &folder.logs())?;

    let answered = wait_for(START_LIMIT, || {
        interrupt.check()?;
        stack.check()?;
        Ok(answers(port).then_some(()))
    })?;
    answered.ok_or_else(|| Failure::NotReady { name: "redis".to_owned(), seconds: START_LIMIT.as_secs() })?;
    let url = format!("redis://127.0.0.1:{port}");
    println!("   Redis: a private one at {url}, data in {}", folder.redis().display());
    Ok(url)
}

/// Whether a Redis on `port` takes commands: one that still reads its data answers with an error.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut answer = [0; 5];
    let asked = stream.set_read_timeout(Some(Duration::from_secs(1))).and_then(|()| stream.write_all(b"PING\r\n"));
    asked.and_then(|()| stream.read_exact(&mut answer)).is_ok() && &answer == b"+PONG"
}
