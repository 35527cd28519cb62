//! What the jobs of a type get where whoever adds them says nothing.

use serde::{Deserialize, Serialize};

use crate::{Backoff, JobOptions, Keep, Priority, QueueName};

/// The defaults of a job type, camelCase in JSON. What is absent is left to the queue and the worker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Defaults {
    /// Where its jobs go when nobody names a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// Which of the jobs in a queue go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How many times a job may be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The wait between attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The codes of failures after which no attempt follows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_retried: Vec<String>,
    /// How long an attempt may run, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long a job may wait for its first attempt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// How long an attempt may be silent, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// What is kept of a completed job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_complete: Option<Keep>,
    /// What is kept of a failed job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_on_fail: Option<Keep>,
    /// How many jobs of the type run at a time on one worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

impl Defaults {
    /// Gives `opts` what they do not say themselves: no attempts (0), no priority (0), and everything else that is absent.
    pub fn complete(&self, opts: &mut JobOptions) {
        if opts.attempts == 0 {
            opts.attempts = self.attempts.unwrap_or_default();
        }
        if opts.priority == Priority::NONE {
            opts.priority = self.priority.unwrap_or_default();
        }
        opts.backoff = opts.backoff.take().or_else(|| self.backoff.clone());
        opts.remove_on_complete = opts.remove_on_complete.or(self.remove_on_complete);
        opts.remove_on_fail = opts.remove_on_fail.or(self.remove_on_fail);
        opts.timeout_ms = opts.timeout_ms.or(limit(self.timeout_ms));
        opts.heartbeat_timeout_ms = opts.heartbeat_timeout_ms.or(limit(self.heartbeat_timeout_ms));
        if opts.expires_at_ms.is_none() {
            opts.ttl_ms = opts.ttl_ms.or(limit(self.ttl_ms));
        }
        if opts.not_retried.is_empty() {
            opts.not_retried.clone_from(&self.not_retried);
        }
    }
}

/// A manifest says with 0 that there is no limit.
fn limit(ms: Option<u64>) -> Option<u64> {
    ms.filter(|ms| *ms > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_says_goes_before_what_the_job_type_says() {
        let defaults: Defaults = serde_json::from_str(
            r#"{"attempts":3,"priority":"high","backoff":100,"removeOnComplete":5,"removeOnFail":true,
                "timeoutMs":9,"ttlMs":8,"heartbeatTimeoutMs":0,"notRetried":["gone"]}"#,
        )
        .unwrap();
        let mut silent = JobOptions::default();
        defaults.complete(&mut silent);
        assert_eq!((silent.attempts, silent.priority.get(), silent.backoff), (3, 10, Some(Backoff::fixed(100))));
        assert_eq!((silent.remove_on_complete, silent.remove_on_fail), (Some(Keep::count(5)), Some(Keep::Nothing)));

        assert_eq!((silent.timeout_ms, silent.ttl_ms, silent.heartbeat_timeout_ms), (Some(9), Some(8), None));
        assert_eq!(silent.not_retried, ["gone"]);

        let said = r#"{"timeoutMs":1,"expiresAt":1700000000000,"notRetried":["lost"],"attempts":1,"priority":7,"backoff":5,"removeOnComplete":false,"removeOnFail":false}"#;
        let said: JobOptions = serde_json::from_str(said).unwrap();
        let mut completed = said.clone();
        defaults.complete(&mut completed);
        assert_eq!(completed, said);
        let mut nothing = said.clone();
        Defaults::default().complete(&mut nothing);
        assert_eq!(nothing, said);
    }
}
