//! What we return, in the form both subjects share; `interop/conformance/views.mjs` does the same for BullMQ.

use operator_core::Job;
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
