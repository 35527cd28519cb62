//! What we return, in the form both subjects share; `interop/conformance/views.mjs` does the same for BullMQ.

use operator_core::{Job, JobOptions};
use operator_queue::{Dependency, DependencyKind, FlowNode, MinuteMetrics, QueueMeta, Repeat, Scheduler};
use serde_json::{Value, json};

/// What a claim tells of a job.
pub(super) fn claimed(job: &Job) -> Value {
    json!({
        "id": job.id,
        "name": job.name,
        "data": job.data,
        "timestamp": job.timestamp_ms,
        "delay": job.delay_ms,
        "priority": job.priority,
        "attemptsMade": job.attempts_made,
        "attemptsStarted": job.attempts_started,
        "stalledCounter": job.stalled,
        "processedOn": job.processed_ms,
        "deferredFailure": job.deferred_failure,
        "parentKey": job.parent_key,
        "scheduler": job.scheduler_id,
        "deduplicationId": job.deduplication_id,
    })
}

/// What a reader is told of a job.
pub(super) fn whole(job: &Job) -> Value {
    let mut view = claimed(job);
    let rest = json!({
        "finishedOn": job.finished_ms,
        "processedBy": job.processed_by,
        // BullMQ knows no job without progress.
        "progress": job.progress.as_ref().map(|progress| json!(progress)).filter(|it| !it.is_null()).unwrap_or(json!(0)),
        "returnvalue": job.return_value,
        "failedReason": job.failed_reason,
        "stacktrace": job.stacktrace,
    });
    if let (Some(view), Value::Object(rest)) = (view.as_object_mut(), rest) {
        view.extend(rest);
    }
    view
}

/// The ids of a tree that was read. Redis keeps children in no order.
pub(super) fn tree(node: &FlowNode) -> Value {
    let mut children: Vec<Value> = node.children.iter().filter(|child| child.job.is_some()).map(tree).collect();
    children.sort_by_key(|child| child["id"].as_str().map(str::to_owned));
    json!({ "queue": node.key.queue, "id": node.key.id, "children": children })
}

pub(super) fn dependencies(kind: DependencyKind, items: &[Dependency]) -> Value {
    let mut keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    keys.sort_unstable();
    match kind {
        DependencyKind::Processed => items.iter().map(|item| (item.key.clone(), json!(item.value))).collect(),
        DependencyKind::Ignored => items.iter().map(|item| (item.key.clone(), json!(item.reason))).collect(),
        DependencyKind::Unprocessed | DependencyKind::Failed => json!(keys),
    }
}

pub(super) fn scheduler(found: &Scheduler) -> Value {
    let Repeat { every_ms, offset_ms, pattern, tz, limit, start_ms, end_ms, .. } = &found.repeat;
    let template = found.template.as_ref();
    json!({
        "id": found.id,
        "name": found.name,
        "next": found.next_ms,
        "iterationCount": found.iteration_count,
        "every": every_ms,
        "pattern": pattern,
        "offset": offset_ms,
        "tz": tz,
        "limit": limit,
        "startDate": start_ms,
        "endDate": end_ms,
        "data": template.and_then(|template| template.data.as_ref()),
        "opts": template.and_then(|template| template.opts.as_ref()).map(options),
    })
}

/// No attempts are the default, which BullMQ does not tell.
fn options(opts: &JobOptions) -> Value {
    let mut opts = json!(opts);
    if let (0, Some(fields)) = (opts["attempts"].as_u64().unwrap_or(0), opts.as_object_mut()) {
        fields.remove("attempts");
    }
    opts
}

pub(super) fn metrics(metrics: &MinuteMetrics) -> Value {
    json!({
        "meta": { "count": metrics.total, "prevTS": metrics.previous_ms, "prevCount": metrics.previous_total },
        "data": metrics.points,
        "count": metrics.point_count,
    })
}

pub(super) fn meta(meta: &QueueMeta) -> Value {
    json!({
        "paused": meta.paused,
        "concurrency": meta.concurrency,
        "max": meta.rate_max,
        "duration": meta.rate_duration_ms,
        "maxLenEvents": meta.max_events,
    })
}
