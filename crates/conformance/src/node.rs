//! BullMQ itself, behind `interop/conformance.mjs`, which turns its results and errors into our answers.

use operator_testkit::{BullMq, NodePeer, RedisServer};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::operation::{Claim, Operation};

/// A process of Node with BullMQ in it.
pub struct Node {
    peer: NodePeer,
}

impl Node {
    /// Starts a process that works on database `number` of `server`.
    ///
    /// # Panics
    /// When Node cannot be started.
    pub async fn start(server: &RedisServer, against: BullMq, number: u8) -> Self {
        let url = format!("{}/{number}", server.url());
        let release = match against {
            BullMq::V5 => "5",
            BullMq::V6 => "6",
        };
        let environment = [("BULLMQ", release), ("REDIS_URL", url.as_str()), ("PREFIX", "bull")];
        Self { peer: NodePeer::start("conformance.mjs", &[], &environment).await }
    }

    /// Forgets all queues, workers and held jobs, and sets the time.
    pub async fn reset(&mut self, now_ms: u64) {
        self.peer.call("reset", json!({ "now": now_ms })).await;
    }

    /// Sets the time.
    pub async fn set_time(&mut self, now_ms: u64) {
        self.peer.call("setTime", json!({ "now": now_ms })).await;
    }

    /// Lets a worker hold a job that was claimed for it elsewhere.
    pub async fn adopt(&mut self, claim: &Claim, id: &str) {
        let held = json!({ "worker": claim.worker, "job": id, "token": claim.token, "as": claim.bind });
        self.peer.call("adopt", held).await;
    }

    /// Does one operation.
    ///
    /// # Panics
    /// When the process is gone.
    pub async fn perform(&mut self, operation: &Operation) -> Answer {
        // Arguments of the harness's envelope would collide with those of operations.
        let answer = self.peer.try_call("perform", json!({ "operation": operation.to_json() })).await;
        match answer {
            Ok(answer) => serde_json::from_value(answer.clone())
                .unwrap_or_else(|error| Answer::Broken(format!("{error}: {answer}"))),
            Err(error) => Answer::Broken(format!("{}: {}", error.name, error.message)),
        }
    }

    /// What the process said when it was ready: its version of BullMQ.
    #[must_use]
    pub fn version(&self) -> &Value {
        &self.peer.hello()["version"]
    }
}
