//! The peers: who they are, and how a run talks to one.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use operator_testkit::RedisClient;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Someone who can add and run jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Operator,
    BullMq,
    BullMqOfficial,
    Apalis,
    Floor,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [Self::Operator, Self::BullMq, Self::BullMqOfficial, Self::Apalis, Self::Floor];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::BullMq => "bullmq",
            Self::BullMqOfficial => "bullmq-official",
            Self::Apalis => "apalis",
            Self::Floor => "floor",
        }
    }

    /// Whether its keys are BullMQ's, so that its workers obey the queue's settings.
    pub(crate) const fn has_wire(self) -> bool {
        matches!(self, Self::Operator | Self::BullMq | Self::BullMqOfficial)
    }

    /// How many jobs are done. It is asked with commands that the peer does not use, so that they can be left out of its
    /// count.
    pub(crate) async fn done(self, queue: &str, redis: &RedisClient) -> usize {
        let answer = match self {
            Self::Apalis => redis.call(&["SCARD", &format!("{queue}:done")]).await,
            _ => redis.call(&["ZLEXCOUNT", &format!("bull:{queue}:completed"), "-", "+"]).await,
        };
        answer.int().try_into().unwrap()
    }

    /// How many jobs wait. apalis keeps those that are due at once among the scheduled until a worker looks.
    pub(crate) async fn waiting(self, queue: &str, redis: &RedisClient) -> usize {
        let answer = match self {
            Self::Apalis => redis.call(&["ZCARD", &format!("{queue}:scheduled")]).await,
            _ => redis.call(&["LLEN", &format!("bull:{queue}:wait")]).await,
        };
        answer.int().try_into().unwrap()
    }

    /// The commands that [`Peer::done`] and the bench itself send.
    pub(crate) fn is_counted(self, command: &str) -> bool {
        let asks = if self == Self::Apalis { "scard" } else { "zlexcount" };
        let name = command.split('|').next().unwrap_or(command);
        name != asks && !["info", "config"].contains(&name)
    }

    fn command(self, programs: &Path, redis_url: &str) -> Command {
        let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
        match self {
            Self::Operator => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["--serve", redis_url]);
                command
            }
            Self::BullMq => {
                let mut command = Command::new("node");
                command.arg("bench.mjs").current_dir(interop);
                command
            }
            other => Command::new(PathBuf::from(programs).join(format!("peer-{}", other.name()))),
        }
    }
}

/// A peer's process.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    child: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) async fn start(peer: Peer, programs: &Path, redis_url: &str) -> Self {
        let mut command = peer.command(programs, redis_url);
        command.env("REDIS_URL", redis_url).env("BULLMQ", "6").env("PREFIX", "bull");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", peer.name()));
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut running = Self { peer, stdin: child.stdin.take().unwrap(), child, answers };
        running.answer().await;
        running
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Ends the process and waits until it is gone, so that it takes no time from the next.
    pub(crate) async fn end(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        let line = format!("{request}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        self.stdin.flush().await.unwrap();
        let answer = self.answer().await;
        assert!(answer.get("error").is_none(), "{request}: {}", answer["error"]);
        answer
    }

    async fn answer(&mut self) -> Value {
        let line = self.answers.next_line().await.unwrap().expect("the peer lives");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("a peer answered {line}: {error}"))
    }
}
