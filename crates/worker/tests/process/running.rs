//! A worker process for one test, its health server, and a look at its queue.

use operator_testkit::process::{Process, ProcessBuilder, free_port};
use operator_testkit::{RedisClient, RedisServer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The queue of every test; each has a Redis of its own.
pub(crate) const QUEUE: &str = "work";

/// Settings under which the jobs of a dead worker are found as soon as the settings allow.
pub(crate) const IMPATIENT: [(&str, &str); 3] =
    [("OPERATOR_LOCK_DURATION_MS", "1000"), ("OPERATOR_STALLED_INTERVAL_MS", "1000"), ("OPERATOR_MAX_STALLED", "10")];

/// The program, with nothing set.
pub(crate) fn program() -> ProcessBuilder {
    Process::builder(env!("CARGO_BIN_EXE_operator-worker"))
}

/// A worker that claims jobs.
pub(crate) struct Running {
    pub(crate) process: Process,
    port: u16,
}

impl Running {
    /// Starts a worker at `redis_url` and waits until it claims.
    pub(crate) async fn start(redis_url: &str, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let process = program()
            .env("REDIS_URL", redis_url)
            .env("QUEUE_NAME", QUEUE)
            .env("HEALTH_PORT", port.to_string())
            .env("OPERATOR_BIND", "127.0.0.1")
            .envs(variables.iter().copied())
            .start();
        process.wait_for_line("that it waits for jobs", |line| line.contains("waiting for jobs")).await;
        let running = Self { process, port };
        running.wait_for_status("/ready", 200).await;
        running
    }

    /// The address of its health server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// `GET path` of its health server: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        (status, body.to_owned())
    }

    /// Waits until its metrics hold this line.
    pub(crate) async fn wait_for_metric(&self, line: &str) {
        let what = format!("the metric {line}");
        operator_testkit::eventually(&what, async || {
            let (_, metrics) = self.get("/metrics").await;
            metrics.lines().any(|reported| reported == line).then_some(())
        })
        .await;
    }

    /// Waits until `GET path` answers with `status`, and returns the body.
    pub(crate) async fn wait_for_status(&self, path: &str, status: u16) -> String {
        let what = format!("{path} to answer {status}");
        operator_testkit::eventually(&what, async || {
            let (answered, body) = self.get(path).await;
            (answered == status).then_some(body)
        })
        .await
    }
}

/// What is in the queue.
pub(crate) struct Watched {
    client: RedisClient,
}

impl Watched {
    pub(crate) async fn of(redis: &RedisServer) -> Self {
        Self { client: redis.client().await }
    }

    /// How many jobs are in the list or set of this state; 0 while the server is away.
    pub(crate) async fn count(&self, state: &str) -> i64 {
        let command = if matches!(state, "wait" | "active") { "LLEN" } else { "ZCARD" };
        match self.client.try_call(&[command, &format!("bull:{QUEUE}:{state}")]).await {
            Ok(reply) if reply.error().is_none() => reply.int(),
            _ => 0,
        }
    }

    /// Waits until at least `count` jobs are in this state.
    pub(crate) async fn wait_for(&self, state: &str, count: i64) {
        let what = format!("{count} jobs to be {state}");
        operator_testkit::eventually(&what, async || (self.count(state).await >= count).then_some(())).await;
    }

    /// A field of a job's hash.
    pub(crate) async fn field(&self, id: &str, field: &str) -> Option<String> {
        self.client.call(&["HGET", &format!("bull:{QUEUE}:{id}"), field]).await.optional_text()
    }

    /// The client itself.
    pub(crate) fn client(&self) -> &RedisClient {
        &self.client
    }
}

/// The id of the job that a peer's `add` answered with.
pub(crate) fn id_of(job: &Value) -> String {
    job["id"].as_str().unwrap().to_owned()
}
