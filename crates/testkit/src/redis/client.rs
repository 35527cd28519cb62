//! A client that sends one command and reads one answer: RESP2 over a TCP stream, nothing more.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::Reply;

/// A connection to a Redis server on this machine. It opens a new one after a failure, so it outlives restarts.
#[derive(Debug)]
pub struct RedisClient {
    port: u16,
    password: Option<String>,
    /// Taken out for the length of a call and put back when its answer was read whole: a call that failed or was
    /// dropped half-way leaves no connection behind whose next answer would belong to the wrong command.
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

impl RedisClient {
    /// A client of the server on `port`; it connects with the first call.
    #[must_use]
    pub fn new(port: u16, password: Option<&str>) -> Self {
        Self { port, password: password.map(str::to_owned), connection: Mutex::new(None) }
    }

    /// Sends one command and returns its answer, which may be [`Reply::Error`].
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub async fn call<A: AsRef<[u8]>>(&self, command: &[A]) -> Reply {
        match self.try_call(command).await {
            Ok(reply) => reply,
            Err(error) => panic!("failed to call redis on port {}: {error}", self.port),
        }
    }

    /// Like [`Self::call`], for tests in which the server may be gone.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or closes the connection.
    pub async fn try_call<A: AsRef<[u8]>>(&self, command: &[A]) -> io::Result<Reply> {
        let mut held = self.connection.lock().await;
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let reply = exchange(&mut connection, command).await?;
        *held = Some(connection);
        Ok(reply)
    }

    /// `INFO section` as a map.
    pub async fn info(&self, section: &str) -> BTreeMap<String, String> {
        let text = self.call(&["INFO", section]).await.ok().text();
        text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    /// How often each command was called since the last [`Self::reset_stats`], commands inside scripts included.
    /// Names are lower case, those with a subcommand in the form `config|get`.
    pub async fn command_stats(&self) -> BTreeMap<String, u64> {
        let entries = self.info("commandstats").await;
        entries.iter().filter_map(|(name, value)| Some((command_name(name)?, calls(value)?))).collect()
    }

    /// Sets the counters of [`Self::command_stats`] to zero.
    pub async fn reset_stats(&self) {
        self.call(&["CONFIG", "RESETSTAT"]).await.ok();
    }

    /// Seconds of processor time (user and system) the server has used since its start.
    pub async fn used_cpu(&self) -> f64 {
        let info = self.info("cpu").await;
        let seconds = |name: &str| info.get(name).and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0);
        seconds("used_cpu_user") + seconds("used_cpu_sys")
    }

    async fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let mut connection = BufReader::new(stream);
        if let Some(password) = &self.password {
            match exchange(&mut connection, &["AUTH", password]).await? {
                Reply::Error(message) if !message.starts_with("LOADING") => return Err(io::Error::other(message)),
                _ => {}
            }
        }
        Ok(connection)
    }
}

async fn exchange<A: AsRef<[u8]>>(connection: &mut BufReader<TcpStream>, command: &[A]) -> io::Result<Reply> {
    connection.write_all(&encode(command)).await?;
    decode(connection).await
}

fn encode<A: AsRef<[u8]>>(command: &[A]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", command.len()).into_bytes();
    for argument in command.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        request.extend_from_slice(argument);
        request.extend_from_slice(b"\r\n");
    }
    request
}

async fn decode(connection: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let line = read_line(connection).await?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed(&line))?;
    match kind {
        "+" => Ok(Reply::Status(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => Ok(Reply::Int(number(rest)?)),
        "$" => match usize::try_from(number(rest)?) {
            Ok(length) => read_text(connection, length).await,
            Err(_) => Ok(Reply::Nil),
        },
        "*" => match usize::try_from(number(rest)?) {
            Ok(length) => read_list(connection, length).await,
            Err(_) => Ok(Reply::Nil),
        },
        _ => Err(malformed(&line)),
    }
}

async fn read_line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

async fn read_text(connection: &mut BufReader<TcpStream>, length: usize) -> io::Result<Reply> {
    let mut bytes = vec![0; length + 2];
    connection.read_exact(&mut bytes).await?;
    bytes.truncate(length);
    Ok(Reply::Text(bytes))
}

async fn read_list(connection: &mut BufReader<TcpStream>, length: usize) -> io::Result<Reply> {
    let mut items = Vec::with_capacity(length);
    for _ in 0..length {
        items.push(Box::pin(decode(connection)).await?);
    }
    Ok(Reply::List(items))
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not an answer in RESP2: {line:?}"))
}

fn command_name(entry: &str) -> Option<String> {
    Some(entry.strip_prefix("cmdstat_")?.to_ascii_lowercase())
}

fn calls(statistics: &str) -> Option<u64> {
    statistics.split(',').find_map(|part| part.strip_prefix("calls=")?.parse().ok())
}
