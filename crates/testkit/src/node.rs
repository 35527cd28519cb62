//! The scripts of `interop/` as child processes that speak JSON lines: BullMQ itself, on the other side of the wire.

mod install;
mod router;

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use self::router::Router;
use crate::process::Process;
use crate::wait;

/// Which BullMQ a peer uses. `interop/package.json` has the exact versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BullMq {
    /// The last release of major version 5.
    V5,
    /// The release our wire follows.
    V6,
}

/// A running script. Dropping it kills it; when the test is failing, what it printed is shown.
#[derive(Debug)]
pub struct NodePeer {
    script: String,
    process: Process,
    stdin: Mutex<ChildStdin>,
    router: Arc<Router>,
    events: Mutex<Events>,
    hello: Value,
}

/// Events in the order in which they came.
#[derive(Debug)]
struct Events {
    /// Filled by the thread that reads the script's output.
    coming: mpsc::UnboundedReceiver<Value>,
    /// Passed over while waiting for another.
    passed: VecDeque<Value>,
}

/// An error that the script answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerError {
    /// The error's class.
    pub name: String,
    /// Its text.
    pub message: String,
    /// Its code, if it has one.
    pub code: Option<String>,
}

impl NodePeer {
    /// Runs `peer.mjs`: a BullMQ client of the given release whose queues have the prefix.
    pub async fn bullmq(release: BullMq, redis_url: &str, prefix: &str) -> Self {
        let release = match release {
            BullMq::V5 => "5",
            BullMq::V6 => "6",
        };
        Self::start("peer.mjs", &[], &[("BULLMQ", release), ("REDIS_URL", redis_url), ("PREFIX", prefix)]).await
    }

    /// Runs `board.mjs`: bull-board over the queues. Returns it with the port it serves on.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn board(redis_url: &str, prefix: &str, queues: &[&str]) -> (Self, u16) {
        let board = Self::start("board.mjs", queues, &[("REDIS_URL", redis_url), ("PREFIX", prefix)]).await;
        let port = board.hello["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.expect("board.mjs says its port when it is ready");
        (board, port)
    }

    /// Runs a script of `interop/` and waits until it says that it is ready. Installs the packages on first use.
    ///
    /// # Panics
    ///
    /// When node or npm is missing, or the script ends at once; the message says what to do.
    pub async fn start(script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = install::ready().await;
        let router = Arc::new(Router::default());
        let (sender, coming) = mpsc::unbounded_channel();
        let mut process = Process::builder("node")
            .name(script)
            .arg(script)
            .args(arguments)
            .envs(environment.iter().copied())
            .folder(folder)
            .with_stdin()
            .on_line(router::reader(Arc::clone(&router), sender))
            .start();
        let stdin = Mutex::new(process.take_stdin().expect("stdin was asked for and is taken once"));
        let events = Mutex::new(Events { coming, passed: VecDeque::new() });
        let mut peer = Self { script: script.to_owned(), process, stdin, router, events, hello: Value::Null };
        peer.hello = peer.event("to be ready", |event| event["event"] == "ready").await;
        peer
    }

    /// Runs a script of `interop/` that reads lines and ends, such as `producer.mjs`; returns the JSON lines it printed.
    ///
    /// # Panics
    ///
    /// As [`Self::start`], and when the script's exit code is not 0.
    pub async fn run(script: &str, environment: &[(&str, &str)], lines: &str) -> Vec<Value> {
        let folder = install::ready().await;
        let process = Process::builder("node").arg(script).envs(environment.iter().copied()).folder(folder);
        let mut process = process.name(script).with_stdin().start();
        let mut stdin = process.take_stdin().expect("stdin was asked for and is taken once");
        if let Err(error) = stdin.write_all(lines.as_bytes()).await {
            panic!("failed to write to {script}: {error}");
        }
        drop(stdin);
        assert_eq!(process.wait_exit().await, Some(0), "{script} failed");
        process.output().await.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What it said when it was ready.
    #[must_use]
    pub fn hello(&self) -> &Value {
        &self.hello
    }

    /// Asks for an operation of `peer.mjs` (`interop/README.md` lists them) and returns its result.
    ///
    /// # Panics
    ///
    /// When the answer is an error, or there is none.
    pub async fn call(&self, op: &str, arguments: Value) -> Value {
        match self.try_call(op, arguments).await {
            Ok(result) => result,
            Err(error) => panic!("{} answered {op} with {}: {}", self.script, error.name, error.message),
        }
    }

    /// Like [`Self::call`], for tests that expect an error.
    ///
    /// # Errors
    ///
    /// When the answer is an error.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn try_call(&self, op: &str, arguments: Value) -> Result<Value, PeerError> {
        let (id, answer) = self.router.expect();
        self.send(request(id, op, arguments)).await;
        let mut answer = match timeout(wait::LIMIT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => panic!("{} ended without answering {op}", self.script),
            Err(_) => panic!("{} did not answer {op} within {} s", self.script, wait::LIMIT.as_secs()),
        };
        match answer.get("error") {
            Some(error) => Err(PeerError::from(error)),
            None => Ok(answer["result"].take()),
        }
    }

    /// Calls any method of a queue.
    pub async fn queue(&self, queue: &str, method: &str, arguments: Value) -> Value {
        self.call("call", json!({ "target": "queue", "queue": queue, "method": method, "args": arguments })).await
    }

    /// Calls any method of a job.
    pub async fn job(&self, queue: &str, job_id: &str, method: &str, arguments: Value) -> Value {
        let call = json!({ "target": "job", "queue": queue, "jobId": job_id, "method": method, "args": arguments });
        self.call("call", call).await
    }

    /// The oldest event that nobody took yet.
    ///
    /// # Panics
    ///
    /// When there is none and the script ends, or none comes in time.
    pub async fn next_event(&self) -> Value {
        self.event("any event", |_| true).await
    }

    /// The oldest event nobody took yet that satisfies `predicate`; those passed over stay for later calls.
    ///
    /// # Panics
    ///
    /// As [`Self::next_event`].
    pub async fn event(&self, what: &str, predicate: impl Fn(&Value) -> bool) -> Value {
        match timeout(wait::LIMIT, self.take_event(predicate)).await {
            Ok(Some(event)) => event,
            Ok(None) => panic!("{} ended while the test waited for: {what}", self.script),
            Err(_) => panic!("waited {} s in vain for {}: {what}", wait::LIMIT.as_secs(), self.script),
        }
    }

    /// An event of a worker (`worker`) or of QueueEvents (`queueEvents`) by its type, such as `completed`; its arguments.
    pub async fn event_of(&self, source: &str, kind: &str) -> Value {
        let what = format!("the event {kind} of {source}");
        self.event(&what, |event| event["event"] == source && event["type"] == kind).await["args"].take()
    }

    /// Kills it at once (SIGKILL): a worker in it leaves its jobs active and locked.
    pub async fn kill(&mut self) {
        self.process.kill9().await;
    }

    /// The child itself, to pause or resume it or to read what it printed.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Ends its stdin, upon which it closes everything, and returns its exit code.
    pub async fn close(self) -> Option<i32> {
        let Self { mut process, stdin, .. } = self;
        drop(stdin);
        process.wait_exit().await
    }

    async fn send(&self, request: Value) {
        let line = format!("{request}\n");
        if let Err(error) = self.stdin.lock().await.write_all(line.as_bytes()).await {
            panic!("failed to ask {}: {error}", self.script);
        }
    }

    async fn take_event(&self, predicate: impl Fn(&Value) -> bool) -> Option<Value> {
        let mut events = self.events.lock().await;
        if let Some(at) = events.passed.iter().position(&predicate) {
            return events.passed.remove(at);
        }
        loop {
            let event = events.coming.recv().await?;
            if predicate(&event) {
                return Some(event);
            }
            events.passed.push_back(event);
        }
    }
}

impl From<&Value> for PeerError {
    fn from(error: &Value) -> Self {
        let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
        let code = error["code"].as_str().map(str::to_owned).or_else(|| error["code"].as_i64().map(|c| c.to_string()));
        Self { name: text("name"), message: text("message"), code }
    }
}

fn request(id: u64, op: &str, arguments: Value) -> Value {
    let mut fields = match arguments {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        other => panic!("the arguments of an operation are an object, not {other}"),
    };
    fields.insert("id".into(), id.into());
    fields.insert("op".into(), op.into());
    Value::Object(fields)
}
