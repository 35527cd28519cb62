//! Looking at a queue.

use operator_queue::worker::RateLimit;
use operator_queue::{DependencyCounts, DependencyKind, MetricKind, Range};
use serde_json::{Map, Value, json};

use super::{Ours, Outcome, done, invalid, json, missing, refused, view};
use crate::operation::{GetJobs, OnJob, Operation};

/// More children than a job of a sequence has.
const ALL: u64 = 1000;

impl Ours {
    pub(super) async fn read(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::IsPaused(on) => done(self.queue(&on.queue)?.is_paused().await),
            Operation::GetJob(on) => {
                let job = self.queue(&on.queue)?.job(&on.id).await.map_err(|error| refused(&error))?;
                Ok(job.as_ref().map_or(Value::Null, view::whole))
            }
            Operation::GetState(on) => {
                done(self.queue(&on.queue)?.state(&on.id).await.map(|state| state.as_str().to_owned()))
            }
            Operation::GetCounts(on) => {
                let counts = self.queue(&on.queue)?.counts().await.map_err(|error| refused(&error))?;
                json(&counts.by_state)
            }
            Operation::GetLogs(get) => {
                let queue = self.queue(&get.queue)?;
                let (logs, count) = queue.logs(&get.id, get.start, get.end).await.map_err(|error| refused(&error))?;
                Ok(json!({ "logs": logs, "count": count }))
            }
            Operation::GetGlobalConcurrency(on) => done(self.queue(&on.queue)?.global_concurrency().await),
            Operation::GetGlobalRateLimit(on) => {
                let limit = self.queue(&on.queue)?.global_rate_limit().await.map_err(|error| refused(&error))?;
                let view = |limit: RateLimit| json!({ "max": limit.max, "duration": limit.duration.as_millis() });
                Ok(limit.map_or(Value::Null, view))
            }
            Operation::GetRateLimitTtl(get) => {
                let ttl =
                    self.queue(&get.queue)?.rate_limit_ttl(get.max_jobs).await.map_err(|error| refused(&error))?;
                Ok(if ttl.is_some() { json!("some") } else { json!(0) })
            }
            Operation::IsMaxed(on) => done(self.queue(&on.queue)?.is_maxed().await),
            Operation::GetDeduplicationJobId(on) => {
                done(self.queue(&on.queue)?.deduplication_job_id(&on.deduplication).await)
            }
            Operation::GetJobs(get) => self.get_jobs(get).await,
            Operation::GetCountsPerPriority(get) => {
                let priorities: Vec<u32> =
                    get.priorities.iter().filter_map(|number| u32::try_from(*number).ok()).collect();
                done(self.queue(&get.queue)?.counts_per_priority(&priorities).await)
            }
            Operation::GetDependencies(on) => self.get_dependencies(on).await,
            Operation::GetDependenciesCount(on) => {
                let counts = self.queue(&on.queue)?.dependency_counts(&on.id).await.map_err(|error| refused(&error))?;
                let DependencyCounts { processed, unprocessed, ignored, failed } = counts;
                Ok(json!({ "processed": processed, "unprocessed": unprocessed, "ignored": ignored, "failed": failed }))
            }
            Operation::GetChildrenValues(on) => done(self.queue(&on.queue)?.children_values(&on.id).await),
            Operation::GetIgnoredFailures(on) => done(self.queue(&on.queue)?.ignored_children_failures(&on.id).await),
            Operation::GetFlow(get) => {
                let (depth, children) = (get.depth.unwrap_or(10), u64::from(get.max_children.unwrap_or(20)));
                let found = self.queue(&get.queue)?.flow_tree(&get.id, depth, children).await;
                Ok(found.map_err(|error| refused(&error))?.as_ref().map_or(Value::Null, view::tree))
            }
            Operation::GetMetrics(get) => {
                let kind = if get.kind == "failed" { MetricKind::Failed } else { MetricKind::Completed };
                let number = |place: u64| i64::try_from(place).unwrap_or(i64::MAX);
                let queue = self.queue(&get.queue)?;
                let metrics =
                    queue.metrics(kind, number(get.start), number(get.end)).await.map_err(|error| refused(&error))?;
                Ok(view::metrics(&metrics))
            }
            Operation::GetMeta(on) => {
                let meta = self.queue(&on.queue)?.meta().await.map_err(|error| refused(&error))?;
                Ok(view::meta(&meta))
            }
            other => missing(other),
        }
    }

    /// BullMQ takes the page of each state by itself and puts them one behind the other.
    async fn get_jobs(&mut self, get: &GetJobs) -> Outcome {
        let queue = self.queue(&get.queue)?;
        let range = Range { first: get.start, last: get.end, ascending: get.asc };
        let mut ids = Vec::new();
        for state in &get.types {
            let state = state.parse().map_err(|error: String| invalid(&error))?;
            ids.extend(queue.ids(state, range).await.map_err(|error| refused(&error))?);
        }
        Ok(json!(ids))
    }

    async fn get_dependencies(&mut self, on: &OnJob) -> Outcome {
        let queue = self.queue(&on.queue)?;
        let mut found = Map::new();
        for (name, kind) in [
            ("processed", DependencyKind::Processed),
            ("unprocessed", DependencyKind::Unprocessed),
            ("failed", DependencyKind::Failed),
            ("ignored", DependencyKind::Ignored),
        ] {
            let page = queue.dependencies(&on.id, kind, 0, ALL).await.map_err(|error| refused(&error))?;
            found.insert(name.to_owned(), view::dependencies(kind, &page.items));
        }
        Ok(Value::Object(found))
    }
}
