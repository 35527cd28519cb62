//! What became of a claimed job, as `settle.lua` takes it.

use std::sync::Arc;

use operator_core::{Failure, FailureKind, Job, JobStatus, Json, Keep, KeepLimits};
use serde::{Serialize, Serializer};

use super::record::WireRecord;
use crate::worker::BackoffStrategy;

/// How many expired jobs a finishing one removes for their age, unless its policy says (the wire's default).
const DEFAULT_SWEEP: u64 = 1000;

/// How many stack traces a job keeps unless it says, and how many lines each: enough to see a pattern, and bounded.
const MAX_STACKS: usize = 20;
const MAX_STACK_LINES: usize = 50;

/// A claimed job and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) job: Arc<Job>,
    pub(crate) token: Arc<str>,
    pub(crate) verdict: Verdict,
    /// An earlier call may have settled it already: its connection broke before the answer.
    pub(crate) is_repeated: bool,
}

/// What became of a claimed job, decided.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    Completed(Json),
    Failed {
        reason: String,
        stacks: Vec<String>,
    },
    Retried {
        delay_ms: u64,
        reason: String,
        stacks: Vec<String>,
    },
    HandedBack,
    /// It ends because somebody wanted it to; why is what its mark says, or this.
    Cancelled {
        reason: String,
        stacks: Vec<String>,
    },
    /// It goes on later, by its own wish.
    Postponed {
        delay_ms: u64,
    },
    /// It goes on when its children have finished, or the one of this key.
    Parked {
        child_key: Option<String>,
    },
}

/// What decides whether a failed attempt is followed by another.
#[derive(Debug, Clone, Default)]
pub(crate) struct RetryRules {
    pub(crate) backoff: Option<BackoffStrategy>,
    pub(crate) max_started: Option<u32>,
}

/// What a worker keeps of finished jobs that do not say themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepDefaults {
    pub(crate) completed: Keep,
    pub(crate) failed: Keep,
}

/// What the script is given of an outcome.
struct WireOutcome<'a> {
    plain: WirePlain<'a>,
    /// Nothing for a plain one: then the list ends before it, which the shortcut of `settle.lua` knows it by.
    rest: Option<WireRest>,
}

/// In the order of the script's positions.
#[derive(Serialize)]
struct WirePlain<'a>(&'a str, &'a str, u8, &'a str);

/// Behind those of a plain outcome.
struct WireRest {
    stacks: String,
    delay_ms: u64,
    lifo: bool,
    keep: (i64, i64, u64),
    attempts: u32,
}

impl Serialize for WireOutcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WirePlain(id, token, kind, value) = &self.plain;
        let Some(rest) = &self.rest else { return self.plain.serialize(serializer) };
        let WireRest { stacks, delay_ms, lifo, keep: (count, age, limit), attempts } = rest;
        (id, token, kind, value, stacks, delay_ms, lifo, count, age, limit, attempts).serialize(serializer)
    }
}

impl Verdict {
    /// Decides what follows from a failed attempt: another one now, later, or none. `random` is in `0.0..1.0`.
    pub(crate) fn of_failure(job: &Job, failure: Failure, rules: &RetryRules, random: f64) -> Self {
        let stacks = stacks_with(job, &failure);
        let attempts_made = job.attempts_made.saturating_add(1);
        let has_started_enough = rules.max_started.is_some_and(|max| job.attempts_started >= max);
        let is_listed = failure.code.as_ref().is_some_and(|code| job.opts.not_retried.contains(code));
        if failure.kind != FailureKind::Retryable
            || is_listed
            || attempts_made >= job.opts.attempts
            || has_started_enough
        {
            return Self::Failed { reason: failure.message, stacks };
        }
        let not_retried = |message: &str, problem: &str| format!("{message} (not retried: {problem})");
        let wait_ms = match &job.opts.backoff {
            None => Some(0),
            Some(backoff) => match (backoff.wait_ms(attempts_made, random), &rules.backoff) {
                (None, Some(strategy)) => match strategy.wait_ms(job, attempts_made, &failure) {
                    Ok(wait_ms) => wait_ms,
                    Err(_) => {
                        let reason = not_retried(&failure.message, "the worker's backoff strategy panicked");
                        return Self::Failed { reason, stacks };
                    }
                },
                (None, None) => {
                    let reason = not_retried(&failure.message, "this worker does not know its backoff strategy");
                    return Self::Failed { reason, stacks };
                }
                (wait_ms, _) => wait_ms,
            },
        };
        match wait_ms {
            Some(delay_ms) => Self::Retried { delay_ms, reason: failure.message, stacks },
            None => Self::Failed { reason: failure.message, stacks },
        }
    }

    /// The end of a job that is to be cancelled, with the stack traces it has.
    pub(crate) fn cancelled(job: &Job) -> Self {
        let reason = job.cancelled.clone().unwrap_or_else(|| "cancelled".to_owned());
        Self::Cancelled { reason, stacks: job.stacktrace.clone() }
    }

    /// A failure that no attempt follows.
    pub(crate) fn failed(job: &Job, reason: &str) -> Self {
        Self::of_failure(job, Failure::unrecoverable(reason), &RetryRules::default(), 0.0)
    }
}

/// Packs `outcomes` for the script.
pub(crate) fn pack(outcomes: &[Outcome], defaults: KeepDefaults) -> Vec<u8> {
    let wire: Vec<WireOutcome<'_>> = outcomes.iter().map(|outcome| outcome.to_wire(defaults)).collect();
    rmp_serde::to_vec(&wire).expect("text and numbers can be packed")
}

/// The most bytes of a result. Redis takes no argument of more than 512 MB, and everybody waits while it is copied.
const MAX_RESULT_BYTES: usize = 64 * 1024 * 1024;

impl Verdict {
    /// The job's completion, or its failure when the result is larger than can be stored: it would be as large again.
    pub(crate) fn completed(job: &Job, result: Json) -> Self {
        let bytes = result.as_str().len();
        if bytes <= MAX_RESULT_BYTES {
            return Self::Completed(result);
        }
        let remedy = "keep it elsewhere and return a reference";
        Self::failed(job, &format!("the result has {bytes} bytes and at most {MAX_RESULT_BYTES} are allowed; {remedy}"))
    }
}

impl Outcome {
    /// How many bytes of the job's own the script is given.
    pub(crate) fn bytes(&self) -> usize {
        match &self.verdict {
            Verdict::Completed(result) => result.as_str().len(),
            Verdict::Failed { reason, stacks }
            | Verdict::Cancelled { reason, stacks }
            | Verdict::Retried { reason, stacks, .. } => reason.len() + stacks.iter().map(String::len).sum::<usize>(),
            Verdict::HandedBack | Verdict::Postponed { .. } | Verdict::Parked { .. } => 0,
        }
    }

    /// The terminal record as `worker` leaves it in the history stream; empty when the job has not finished.
    pub(crate) fn record(&self, worker: Option<&str>, now_ms: u64) -> Vec<u8> {
        let (end, stacks) = match &self.verdict {
            Verdict::Completed(_) => (JobStatus::Completed, &[][..]),
            Verdict::Failed { stacks, .. } => (JobStatus::Failed, &stacks[..]),
            Verdict::Cancelled { stacks, .. } => (JobStatus::Cancelled, &stacks[..]),
            _ => return Vec::new(),
        };
        WireRecord::new(&self.job, end, stacks, worker, now_ms).pack()
    }

    fn to_wire(&self, defaults: KeepDefaults) -> WireOutcome<'_> {
        let job = &*self.job;
        let (kind, value, stacks, delay_ms) = match &self.verdict {
            Verdict::Completed(result) => (1, result.as_str(), &[][..], 0),
            Verdict::Failed { reason, stacks } => (2, reason.as_str(), &stacks[..], 0),
            Verdict::Retried { delay_ms: 0, reason, stacks } => (3, reason.as_str(), &stacks[..], 0),
            Verdict::Retried { delay_ms, reason, stacks } => (4, reason.as_str(), &stacks[..], *delay_ms),
            Verdict::HandedBack => (5, "", &[][..], 0),
            Verdict::Postponed { delay_ms } => (6, "", &[][..], *delay_ms),
            Verdict::Cancelled { reason, stacks } => (8, reason.as_str(), &stacks[..], 0),
            Verdict::Parked { child_key } => (7, child_key.as_deref().unwrap_or_default(), &[][..], 0),
        };
        let keep = match kind {
            1 => job.opts.remove_on_complete.unwrap_or(defaults.completed),
            _ => job.opts.remove_on_fail.unwrap_or(defaults.failed),
        };
        let stacks =
            if matches!(kind, 2..=4 | 8) { serde_json::to_string(stacks).unwrap_or_default() } else { String::new() };
        let is_plain = kind == 1 && keep == Keep::All;
        let (lifo, attempts) = (job.opts.lifo, job.opts.attempts);
        WireOutcome {
            plain: WirePlain(job.id.as_str(), &self.token, kind, value),
            rest: (!is_plain).then(|| WireRest { stacks, delay_ms, lifo, keep: keep_numbers(keep), attempts }),
        }
    }
}

/// Count, age in seconds and limit, with −1 for none.
pub(crate) fn keep_numbers(keep: Keep) -> (i64, i64, u64) {
    let number = |limit: Option<u64>| limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    match keep {
        Keep::All => (-1, -1, DEFAULT_SWEEP),
        Keep::Nothing => (0, -1, DEFAULT_SWEEP),
        Keep::Limited(KeepLimits { count, age_s, limit }) => {
            (number(count), number(age_s), limit.unwrap_or(DEFAULT_SWEEP).min(DEFAULT_SWEEP))
        }
    }
}

/// The stack traces of the job with this failure's added: the newest, as many as the job wants.
fn stacks_with(job: &Job, failure: &Failure) -> Vec<String> {
    let limit = job.opts.stack_trace_limit.map_or(MAX_STACKS, |limit| limit as usize);
    let mut stacks = job.stacktrace.clone();
    let lines: Vec<&str> =
        std::iter::once(failure.message.as_str()).chain(failure.stack.iter().map(String::as_str)).collect();
    stacks.push(lines[..lines.len().min(MAX_STACK_LINES + 1)].join("\n"));
    stacks.drain(..stacks.len().saturating_sub(limit));
    stacks
}

#[cfg(test)]
mod tests {
    use operator_core::{Backoff, BackoffKind, JobId, JobOptions, QueueName};

    use super::*;

    fn job(attempts: u32, attempts_made: u32, backoff: Option<Backoff>) -> Job {
        Job {
            opts: JobOptions { attempts, backoff, ..JobOptions::default() },
            attempts_made,
            ..Job::blank(QueueName::new("q").unwrap(), JobId::from_wire("1"))
        }
    }

    fn decide(job: &Job, failure: Failure) -> String {
        match Verdict::of_failure(job, failure, &RetryRules::default(), 0.0) {
            Verdict::Retried { delay_ms, .. } => format!("retry in {delay_ms}"),
            Verdict::Failed { .. } => "failed".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_failure_is_retried_while_attempts_are_left() {
        let failure = || Failure::retryable("boom");
        assert_eq!(decide(&job(0, 0, None), failure()), "failed");
        assert_eq!(decide(&job(1, 0, None), failure()), "failed");
        assert_eq!(decide(&job(3, 1, None), failure()), "retry in 0");
        assert_eq!(decide(&job(3, 2, None), failure()), "failed");
        assert_eq!(decide(&job(5, 1, Some(Backoff::exponential(100))), failure()), "retry in 200");
        assert_eq!(decide(&job(5, 0, None), Failure::unrecoverable("no")), "failed");
        let custom = Backoff { kind: BackoffKind::Custom("mine".to_owned()), ..Backoff::fixed(0) };
        assert_eq!(decide(&job(5, 0, Some(custom)), failure()), "failed");
    }

    #[test]
    fn stack_traces_are_bounded() {
        let mut job = job(3, 0, None);
        job.stacktrace = vec!["older".to_owned(); 30];
        let failure = Failure::retryable("boom").at(vec!["a".to_owned(); 100]);
        let stacks = stacks_with(&job, &failure);
        assert_eq!((stacks.len(), stacks[19].lines().count()), (20, 51));
        for (limit, kept) in [(0, 0), (1, 1), (2, 2)] {
            job.opts.stack_trace_limit = Some(limit);
            assert_eq!(stacks_with(&job, &failure).len(), kept);
        }
    }
}
