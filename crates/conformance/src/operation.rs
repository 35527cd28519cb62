//! The operations of a sequence, one JSON object a line. `docs/conformance.md` says what each does; what an operation
//! is given stands in the modules below.
//!
//! Wherever an id is asked for, and between the colons of a key, `$name` stands for the id that an earlier operation
//! bound with `as`.

mod produce;
mod work;

mod administer;
mod read;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use administer::*;
pub use produce::*;
pub use read::*;
pub use work::*;

/// One operation, done by both subjects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Operation {
    /// Adds a job. Answers its id.
    Add(Add),
    /// Adds jobs in order. Answers their ids.
    AddBulk(AddBulk),
    /// Adds a tree of jobs. Answers the ids as a tree.
    AddFlow(AddFlow),
    /// Adds several trees. Answers a list of trees.
    AddFlows(AddFlows),

    /// Declares a worker, which claims nothing by itself.
    Worker(Worker),
    /// Claims a job. Answers the job or null.
    Claim(Claim),
    /// Completes a held job. Answers the next job when one is asked for.
    Complete(Complete),
    /// Fails a held job: its options say whether it is tried again. Answers as `complete`.
    Fail(Fail),
    /// Puts a held job among the delayed, without costing an attempt.
    MoveToDelayed(MoveToDelayed),
    /// Puts a held job back in front of its queue, without costing an attempt.
    MoveToWait(OnHeld),
    /// Lets a held job wait for its children. Answers whether it has any to wait for.
    MoveToWaitingChildren(OnHeld),
    /// Renews the lock of a held job. Answers whether it was still held.
    ExtendLock(ExtendLock),
    /// Looks for jobs whose worker is gone. Answers the ids that went back.
    StalledCheck(OnWorker),

    /// Notes how far a job has come.
    UpdateProgress(UpdateProgress),
    /// Replaces the data of a job.
    UpdateData(UpdateData),
    /// Appends a line to the log of a job. Answers its length.
    Log(Log),
    /// Shortens the log of a job.
    ClearLogs(ClearLogs),
    /// Answers the log of a job, and how long it is.
    GetLogs(GetLogs),

    /// Makes or changes a scheduler. Answers the id of its pending job.
    UpsertScheduler(UpsertScheduler),
    /// Removes a scheduler. Answers whether there was one.
    RemoveScheduler(OnScheduler),
    /// Answers a scheduler, or null.
    GetScheduler(OnScheduler),
    /// Answers schedulers in the order of their next runs.
    GetSchedulers(Page),
    /// Answers how many schedulers there are.
    GetSchedulersCount(OnQueue),

    /// Stops claims.
    Pause(OnQueue),
    /// Lets claims go on.
    Resume(OnQueue),
    /// Answers whether claims are stopped.
    IsPaused(OnQueue),
    /// Lets at most this many jobs of a queue run at a time.
    SetGlobalConcurrency(SetGlobalConcurrency),
    /// Takes that limit away.
    RemoveGlobalConcurrency(OnQueue),
    /// Answers that limit, or null.
    GetGlobalConcurrency(OnQueue),
    /// Answers whether as many jobs run as that limit lets.
    IsMaxed(OnQueue),
    /// Lets at most this many jobs of a queue start per duration.
    SetGlobalRateLimit(SetGlobalRateLimit),
    /// Takes that limit away.
    RemoveGlobalRateLimit(OnQueue),
    /// Answers that limit, or null.
    GetGlobalRateLimit(OnQueue),
    /// Lets no job start for a while.
    RateLimit(RateLimit),
    /// Ends that, and the current window of a rate limit.
    RemoveRateLimitKey(OnQueue),
    /// Answers for how long the rate lets no job start, rounded up to `some`.
    GetRateLimitTtl(GetRateLimitTtl),

    /// Removes what waits.
    Drain(Drain),
    /// Removes old jobs of one state. Answers their ids.
    Clean(Clean),
    /// Removes a queue whole.
    Obliterate(Obliterate),
    /// Removes jobs that are in no state. Answers how many.
    RemoveOrphans(OnQueue),
    /// Runs finished jobs again.
    RetryJobs(RetryJobs),
    /// Runs a finished job again.
    RetryJob(RetryJob),
    /// Lets all delayed jobs run now.
    PromoteJobs(OnQueue),
    /// Lets a delayed job run now.
    Promote(OnJob),
    /// Gives a delayed job another delay.
    ChangeDelay(ChangeDelay),
    /// Gives a job another priority.
    ChangePriority(ChangePriority),
    /// Removes a job. Answers whether it could be.
    Remove(Remove),
    /// Removes the children of a job that have not been processed.
    RemoveUnprocessedChildren(OnJob),
    /// Ends the relation between a child and its parent. Answers whether there was one.
    RemoveChildDependency(OnJob),
    /// Forgets a deduplication id. Answers whether it was known.
    RemoveDeduplicationKey(OnDeduplication),
    /// Answers the owner of a deduplication id, or null.
    GetDeduplicationJobId(OnDeduplication),
    /// Shortens the events of a queue.
    TrimEvents(TrimEvents),
    /// Writes an event of the caller's own.
    PublishEvent(PublishEvent),

    /// Answers a job, or null.
    GetJob(OnJob),
    /// Answers where a job is.
    GetState(OnJob),
    /// Answers the ids of a page of jobs.
    GetJobs(GetJobs),
    /// Answers how many jobs are in each state.
    GetCounts(OnQueue),
    /// Answers how many jobs wait with each of some priorities.
    GetCountsPerPriority(GetCountsPerPriority),
    /// Answers the children of a job by what became of them.
    GetDependencies(OnJob),
    /// Answers how many children of a job there are by what became of them.
    GetDependenciesCount(OnJob),
    /// Answers the results of the children of a job.
    GetChildrenValues(OnJob),
    /// Answers why the children of a job failed that it does not wait for.
    GetIgnoredFailures(OnJob),
    /// Answers a job with those below it.
    GetFlow(GetFlow),
    /// Answers the minute metrics.
    GetMetrics(GetMetrics),
    /// Answers the settings of a queue.
    GetMeta(OnQueue),

    /// Moves the time of both subjects.
    Clock(Clock),
    /// Deletes a key in both databases, as if its time had come.
    Expire(Expire),
    /// Any command on both databases, to set up what no subject does. Not compared.
    Raw(Raw),
}

impl Operation {
    /// The operation as JSON, without what it leaves out.
    ///
    /// # Panics
    /// Never: operations are numbers, text and plain maps.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let value = serde_json::to_value(self).expect("operations are numbers, text and plain maps");
        let Value::Object(fields) = value else { return value };
        let is_given = |(name, value): &(String, Value)| {
            name == "progress" || name == "data" || !value.is_null() && *value != Value::Bool(false)
        };
        Value::Object(fields.into_iter().filter(is_given).collect())
    }

    /// The name of the operation.
    #[must_use]
    pub fn name(&self) -> String {
        self.to_json()["op"].as_str().unwrap_or_default().to_owned()
    }

    /// The operation with every `$name` replaced by what `lookup` knows.
    ///
    /// # Errors
    /// When the outcome is no operation.
    pub fn resolved(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, serde_json::Error> {
        serde_json::from_value(resolve(self.to_json(), lookup))
    }
}

fn resolve(value: Value, lookup: &dyn Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) => {
            let named = |part: &str| part.strip_prefix('$').and_then(lookup).unwrap_or_else(|| part.to_owned());
            Value::String(text.split(':').map(named).collect::<Vec<_>>().join(":"))
        }
        Value::Array(items) => items.into_iter().map(|item| resolve(item, lookup)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, resolve(value, lookup)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_one_object_and_takes_nothing_it_does_not_know() {
        let line = json!({ "op": "add", "queue": "q", "name": "a", "data": null, "opts": { "delay": 5 } });
        let operation: Operation = serde_json::from_value(line.clone()).unwrap();
        assert_eq!(operation.to_json(), line);
        assert_eq!(operation.name(), "add");
        let unknown = json!({ "op": "pause", "queue": "q", "now": true });
        assert!(serde_json::from_value::<Operation>(unknown).is_err());
    }

    #[test]
    fn bound_names_are_replaced_wherever_they_stand() {
        let line = json!({ "op": "add", "queue": "q", "name": "a", "opts": { "parent": { "id": "$p" } } });
        let operation: Operation = serde_json::from_value(line).unwrap();
        let resolved = operation.resolved(&|name| (name == "p").then(|| "7".to_owned())).unwrap();
        assert_eq!(resolved.to_json()["opts"]["parent"]["id"], "7");
        let expire = Operation::Expire(Expire { key: "bull:q:$p:lock".to_owned() });
        let resolved = expire.resolved(&|name| (name == "p").then(|| "7".to_owned())).unwrap();
        assert_eq!(resolved.to_json()["key"], "bull:q:7:lock");
    }
}
