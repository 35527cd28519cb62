//! Our queues, through their public interface. The modules below do the operations, in the groups of
//! [`crate::operation`].

mod administer;
mod produce;
mod read;
mod work;

mod view;

use std::collections::HashMap;
use std::pin::Pin;

use operator_core::QueueName;
use operator_queue::worker::Consumer;
use operator_queue::{Clock, FlowProducer, Queue, QueueError, Redis, RedisConfig, Refusal};
use operator_testkit::RedisServer;
use serde::Serialize;
use serde_json::Value;

use self::work::Held;
use crate::answer::Answer;
use crate::operation::Operation;

/// Our side of the wire.
pub struct Ours {
    clock: Clock,
    redis: Redis,
    flows: FlowProducer,
    queues: HashMap<String, Queue>,
    consumers: HashMap<String, Consumer>,
    held: HashMap<String, Held>,
}

/// An operation under way.
type Attempt<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

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
        let flows = FlowProducer::new(&redis);
        Self { clock, redis, flows, queues: HashMap::new(), consumers: HashMap::new(), held: HashMap::new() }
    }

    /// Sets the time.
    pub fn set_time(&mut self, now_ms: u64) {
        self.clock.set(now_ms);
    }

    /// Does one operation.
    pub async fn perform(&mut self, operation: &Operation) -> Answer {
        // Boxed, because the compiler does not see through so many kinds of futures that they may change threads.
        let attempt = match operation {
            Operation::Add(_)
            | Operation::AddBulk(_)
            | Operation::AddFlow(_)
            | Operation::AddFlows(_)
            | Operation::UpsertScheduler(_)
            | Operation::RemoveScheduler(_)
            | Operation::GetScheduler(_)
            | Operation::GetSchedulers(_)
            | Operation::GetSchedulersCount(_) => Box::pin(self.produce(operation)) as Attempt<'_>,
            Operation::Worker(_)
            | Operation::Claim(_)
            | Operation::Complete(_)
            | Operation::Fail(_)
            | Operation::MoveToDelayed(_)
            | Operation::MoveToWait(_)
            | Operation::MoveToWaitingChildren(_)
            | Operation::ExtendLock(_)
            | Operation::StalledCheck(_)
            | Operation::UpdateProgress(_)
            | Operation::UpdateData(_)
            | Operation::Log(_)
            | Operation::ClearLogs(_) => Box::pin(self.work(operation)) as Attempt<'_>,
            Operation::GetLogs(_)
            | Operation::IsPaused(_)
            | Operation::GetGlobalConcurrency(_)
            | Operation::IsMaxed(_)
            | Operation::GetGlobalRateLimit(_)
            | Operation::GetRateLimitTtl(_)
            | Operation::GetDeduplicationJobId(_)
            | Operation::GetJob(_)
            | Operation::GetState(_)
            | Operation::GetJobs(_)
            | Operation::GetCounts(_)
            | Operation::GetCountsPerPriority(_)
            | Operation::GetDependencies(_)
            | Operation::GetDependenciesCount(_)
            | Operation::GetChildrenValues(_)
            | Operation::GetIgnoredFailures(_)
            | Operation::GetFlow(_)
            | Operation::GetMetrics(_)
            | Operation::GetMeta(_) => Box::pin(self.read(operation)) as Attempt<'_>,
            _ => Box::pin(self.administer(operation)) as Attempt<'_>,
        };
        match attempt.await {
            Ok(value) => Answer::Done(value),
            Err(answer) => answer,
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

/// An outcome as an answer: a script's refusal by its code, a check of ours as invalid.
fn done<T: Serialize>(outcome: Result<T, QueueError>) -> Outcome {
    json(outcome.map_err(|error| refused(&error))?)
}

/// A value as the answer it is.
fn json<T: Serialize>(value: T) -> Outcome {
    serde_json::to_value(value).map_err(|error| Answer::Broken(error.to_string()))
}

/// What the harness cannot ask of us.
fn missing(operation: &Operation) -> Outcome {
    Err(Answer::Broken(format!("{} is not ours", operation.name())))
}

fn invalid(error: &impl std::fmt::Display) -> Answer {
    Answer::Invalid(error.to_string())
}

fn refused(error: &QueueError) -> Answer {
    match error {
        QueueError::Refused { refusal, .. } => Answer::Refused(code(*refusal)),
        QueueError::Redis(_) | QueueError::Corrupt { .. } => Answer::Broken(error.to_string()),
        _ => Answer::Invalid(error.to_string()),
    }
}

fn code(refusal: Refusal) -> i64 {
    match refusal {
        Refusal::NothingPending => 1,
        Refusal::Locked => 0,
        Refusal::JobMissing => -1,
        Refusal::LockMissing => -2,
        Refusal::WrongState => -3,
        Refusal::PendingChildren => -4,
        Refusal::ParentMissing => -5,
        Refusal::LockMismatch => -6,
        Refusal::ParentConflict => -7,
        Refusal::BelongsToScheduler => -8,
        Refusal::FailedChildren => -9,
        Refusal::SchedulerJobExists => -10,
        Refusal::SchedulerSlotsTaken => -11,
        Refusal::Cancelled => -12,
        Refusal::Changed => -101,
        Refusal::Unknown(code) => code,
    }
}
