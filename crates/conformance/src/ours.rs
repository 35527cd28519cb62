//! Our queues, through their public interface.

use std::collections::HashMap;

use operator_core::{NewJob, QueueName};
use operator_queue::{Clock, Queue, QueueError, Redis, RedisConfig};
use operator_testkit::RedisServer;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::operation::Operation;

/// Our side of the wire.
pub struct Ours {
    clock: Clock,
    redis: Redis,
    queues: HashMap<String, Queue>,
}

/// What an operation came to, before it is an answer.
type Outcome = Result<Value, Answer>;

impl Ours {
    /// Connects to database `number` of `server`, at this time.
    ///
    /// # Panics
    /// When Redis cannot be reached.
    pub async fn start(server: &RedisServer, number: u8, now_ms: u64) -> Self {
        let clock = Clock::manual(now_ms);
        let mut config = RedisConfig::new(format!("{}/{number}", server.url()));
        config.clock = clock.clone();
        let redis = match Redis::connect(&config).await {
            Ok(redis) => redis,
            Err(error) => panic!("{error}"),
        };
        Self { clock, redis, queues: HashMap::new() }
    }

    /// Sets the time.
    pub fn set_time(&mut self, now_ms: u64) {
        self.clock.set(now_ms);
    }

    /// Does one operation.
    pub async fn perform(&mut self, operation: &Operation) -> Answer {
        match self.attempt(operation).await {
            Ok(value) => Answer::Done(value),
            Err(answer) => answer,
        }
    }

    async fn attempt(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Add(add) => {
                let job = new_job(&add.name, add.data.as_ref(), add.opts.as_ref())?;
                done(self.queue(&add.queue)?.add(job).await.map(|id| id.as_str().to_owned()))
            }
            Operation::Pause(on) => done(self.queue(&on.queue)?.pause().await),
            Operation::Resume(on) => done(self.queue(&on.queue)?.resume().await),
            other => Err(Answer::Broken(format!("{} is not ours yet", other.name()))),
        }
    }

    fn queue(&mut self, name: &str) -> Result<Queue, Answer> {
        if let Some(queue) = self.queues.get(name) {
            return Ok(queue.clone());
        }
        let checked = QueueName::new(name).map_err(|error| Answer::Invalid(error.to_string()))?;
        let queue = Queue::new(&self.redis, checked);
        self.queues.insert(name.to_owned(), queue.clone());
        Ok(queue)
    }
}

fn new_job(name: &str, data: Option<&Value>, opts: Option<&Value>) -> Result<NewJob, Answer> {
    let job = json!({ "name": name, "data": data.cloned().unwrap_or_else(|| json!({})),
        "opts": opts.cloned().unwrap_or_else(|| json!({})) });
    serde_json::from_value(job).map_err(|error| Answer::Invalid(error.to_string()))
}

/// An outcome as an answer: a script's refusal by its code, a check of ours as invalid.
fn done<T: serde::Serialize>(outcome: Result<T, QueueError>) -> Outcome {
    match outcome {
        Ok(value) => serde_json::to_value(value).map_err(|error| Answer::Broken(error.to_string())),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &QueueError) -> Answer {
    match error {
        QueueError::Refused { refusal, .. } => Answer::Refused(code(*refusal)),
        QueueError::Redis(_) | QueueError::Corrupt { .. } => Answer::Broken(error.to_string()),
        _ => Answer::Invalid(error.to_string()),
    }
}

fn code(refusal: operator_queue::Refusal) -> i64 {
    use operator_queue::Refusal as R;
    match refusal {
        R::Locked => 0,
        R::JobMissing => -1,
        R::LockMissing => -2,
        R::WrongState => -3,
        R::PendingChildren => -4,
        R::ParentMissing => -5,
        R::LockMismatch => -6,
        R::ParentConflict => -7,
        R::BelongsToScheduler => -8,
        R::FailedChildren => -9,
        R::SchedulerJobExists => -10,
        R::SchedulerSlotsTaken => -11,
        R::Unknown(code) => code,
    }
}
