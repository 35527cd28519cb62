//! The driver's calls to Redis, each a future that ends in a typed event.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use operator_core::time::iso;
use operator_core::{Failure, Job};

use super::consumer::STARTED_TOO_OFTEN;
use super::options::{RateLimit, WorkerOptions};
use super::oversight::Patience;
use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::redis::{Arg, RedisError, Reply};
use crate::scripts;
use crate::wire;
use crate::wire::outcome::{self, KeepDefaults, Outcome, RetryRules};

/// The end of a call, with what was asked.
pub(super) enum Called {
    Settled {
        queue: usize,
        request: Settle,
        answer: Result<Settled, RedisError>,
    },
    Reclaimed {
        queue: usize,
        claim: Claim,
        answer: Result<Vec<Claimed>, RedisError>,
    },
    Extended {
        queue: usize,
        answer: Result<Extended, RedisError>,
        /// Asked because of notices, not by the clock.
        is_look: bool,
    },
    Checked {
        queue: usize,
        answer: Result<Vec<String>, RedisError>,
    },
    /// The scheduler of a claimed job has its next one, or cannot have it: the job may start.
    Advanced {
        queue: usize,
        job: Arc<Job>,
        token: Arc<str>,
    },
    /// Whether the server answered.
    Pinged(bool),
    Woken,
}

/// Outcomes to write and jobs to claim.
pub(super) struct Settle {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) claim: Claim,
}

/// What a renewal found.
#[derive(Default)]
pub(super) struct Extended {
    /// The leases that are gone.
    pub(super) lost: Vec<(String, Arc<str>)>,
    /// Those that are held, and whose jobs are to be cancelled.
    pub(super) cancelled: Vec<(String, Arc<str>)>,
}

/// A claim of `count` jobs under `token`.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) token: Arc<str>,
    pub(super) count: usize,
    /// Takes nothing when an outcome is refused: for callers who then get an error, and would not learn of the jobs.
    pub(super) only_if_settled: bool,
}

impl Claim {
    /// A claim of nothing: for outcomes by themselves.
    pub(super) fn none() -> Self {
        Self { token: "".into(), count: 0, only_if_settled: false }
    }
}

/// What a settle call gave.
pub(super) struct Settled {
    /// Positions of the refused outcomes.
    pub(super) refused: Vec<(usize, Refusal)>,
    pub(super) claimed: Vec<Claimed>,
    /// When the earliest delayed job is due, epoch ms.
    pub(super) next_due_ms: Option<u64>,
    /// For how long the rate limit forbids more.
    pub(super) limited_for: Option<Duration>,
}

/// A claimed job, or the id of one whose hash is not readable.
pub(super) struct Claimed {
    pub(super) id: String,
    pub(super) job: Result<Job, QueueError>,
}

/// The most minutes that are counted: the script writes as many at once when nothing finished for that long. BullMQ's
/// longest usual setting is 80 640.
const MAX_MINUTES: u32 = 100_000;

/// What does not change between the calls of a worker.
pub(super) struct Terms {
    worker: Option<String>,
    lock_ms: u64,
    stalled_interval_ms: u64,
    max_stalled: u32,
    keep: KeepDefaults,
    history_max_entries: Option<u64>,
    max_minutes: Option<u32>,
    limiter: Option<RateLimit>,
    pub(super) rules: RetryRules,
    pub(super) patience: Patience,
}

impl Terms {
    pub(super) fn new(options: &WorkerOptions) -> Self {
        Self {
            worker: options.name.clone(),
            lock_ms: ms(options.lock_duration),
            stalled_interval_ms: ms(options.stalled_interval),
            max_stalled: options.max_stalled,
            keep: KeepDefaults { completed: options.keep_completed, failed: options.keep_failed },
            history_max_entries: options.history_max_entries,
            max_minutes: options
                .metrics_max_data_points
                .filter(|minutes| *minutes > 0)
                .map(|minutes| minutes.min(MAX_MINUTES)),
            limiter: options.limiter,
            rules: RetryRules { backoff: options.backoff.clone(), max_started: options.max_started_attempts },
            patience: Patience::of(options),
        }
    }

    /// Why a claimed job is to be failed without running it, if it is.
    pub(super) fn must_fail(&self, job: &Job) -> Option<Failure> {
        let is_started_too_often = self.rules.max_started.is_some_and(|max| job.attempts_started > max);
        let too_often = || is_started_too_often.then(|| Failure::unrecoverable(STARTED_TOO_OFTEN));
        let deferred =
            job.deferred_failure.as_ref().map(|reason| Failure::unrecoverable(reason).at(evidence(job, reason)));
        deferred.or_else(too_often).or_else(|| expired(job))
    }

    /// Writes outcomes and claims.
    pub(super) async fn settle(&self, queue: &Queue, request: &Settle) -> Result<Settled, RedisError> {
        let now = queue.now_ms();
        let worker = self.worker.as_deref();
        let with_history = self.history_max_entries.is_some();
        let outcomes = outcome::pack(&request.outcomes, self.keep);
        let limits = (self.limiter.map(|limit| limit.max), self.limiter.map(|limit| ms(limit.duration)));
        let Claim { token, count, only_if_settled } = &request.claim;
        let claim =
            (count, &**token, self.lock_ms.to_string(), worker, limits.0, limits.1, self.max_minutes, only_if_settled);
        let mut args: Vec<Arg> = vec![
            queue.keys.prefix().into(),
            now.into(),
            outcomes.into(),
            rmp_serde::to_vec(&claim).expect("text and numbers can be packed").into(),
            self.history_max_entries.unwrap_or(0).into(),
        ];
        if with_history {
            args.extend(request.outcomes.iter().map(|outcome| Arg::from(outcome.record(worker, now))));
        }
        let reply = queue.script(&scripts::SETTLE, None, args).await?;
        read_settled(queue, reply, now)
    }

    /// Looks for what a claim handed out when its answer was lost.
    pub(super) async fn reclaim(&self, queue: &Queue, claim: &Claim) -> Result<Vec<Claimed>, RedisError> {
        let args = vec![queue.keys.prefix().into(), (&*claim.token).into()];
        let jobs = queue.script(&scripts::RECLAIM, None, args).await?;
        Ok(read_claimed(queue, jobs, queue.now_ms()))
    }

    /// Renews locks for the worker's lock duration and returns the leases that are gone.
    pub(super) async fn extend(&self, queue: &Queue, leases: Vec<(String, Arc<str>)>) -> Result<Extended, RedisError> {
        extend_for(queue, leases, self.lock_ms).await
    }

    /// Looks for jobs whose worker went silent; returns those that went back in line.
    pub(super) async fn check_stalled(&self, queue: &Queue) -> Result<Vec<String>, RedisError> {
        let args = vec![
            queue.keys.prefix().into(),
            queue.now_ms().into(),
            self.stalled_interval_ms.into(),
            u64::from(self.max_stalled).into(),
        ];
        Ok(queue.script(&scripts::STALLED, None, args).await?.into_texts())
    }
}

/// Renews locks for `lock_ms`.
pub(super) async fn extend_for(
    queue: &Queue,
    leases: Vec<(String, Arc<str>)>,
    lock_ms: u64,
) -> Result<Extended, RedisError> {
    const CHUNK: usize = 1000;
    let mut extended = Extended::default();
    for chunk in leases.chunks(CHUNK) {
        let packed: Vec<(&str, &str)> = chunk.iter().map(|(id, token)| (id.as_str(), &**token)).collect();
        let packed = rmp_serde::to_vec(&packed).expect("text can be packed");
        let args = vec![queue.keys.prefix().into(), lock_ms.into(), packed.into()];
        for told in queue.script(&scripts::EXTEND, None, args).await?.into_list() {
            let Some(position) = told.int() else { continue };
            let place = usize::try_from(position.unsigned_abs()).ok().and_then(|place| place.checked_sub(1));
            let Some(lease) = place.and_then(|place| chunk.get(place)) else { continue };
            if position > 0 { &mut extended.lost } else { &mut extended.cancelled }.push(lease.clone());
        }
    }
    Ok(extended)
}

/// What is known of a job that is given up because it lost its workers.
fn evidence(job: &Job, reason: &str) -> Vec<String> {
    if reason != Job::STALLED_TOO_OFTEN {
        return Vec::new();
    }
    let worker = job.processed_by.as_deref().unwrap_or("one without a name");
    vec![
        format!("quarantined: {} of its workers went silent while they ran it", job.stalled),
        format!("last worker: {worker}; its lock expired, and it wrote no outcome: it died, froze or lost Redis"),
    ]
}

/// The failure of a job that is started for the first time, and too late for it.
fn expired(job: &Job) -> Option<Failure> {
    let expires_ms = job.expires_ms().filter(|_| job.attempts_started <= 1)?;
    let is_late = job.processed_ms.is_some_and(|now_ms| now_ms > expires_ms);
    is_late.then(|| Failure::unrecoverable(expired_reason(expires_ms)).with_code("expired"))
}

/// Why a job failed that was not started in time.
pub(crate) fn expired_reason(expires_ms: u64) -> String {
    format!("expired: it was not started by {}", iso(expires_ms))
}

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes the next job of the scheduler that `job` comes from, before `job` runs: a scheduler whose job ends without a
/// successor is dead. What keeps failing is reported and does not hold the job up.
pub(super) async fn advance_scheduler(queue: &Queue, job: &Job) {
    let advanced = (|| queue.advance_scheduler(job))
        .retry(reconnects())
        .when(|error| matches!(error, QueueError::Redis(error) if error.is_ambiguous()))
        .await;
    if let Err(error) = advanced {
        let scheduler = job.scheduler_id.as_deref().unwrap_or_default();
        tracing::error!(queue = %queue.name, scheduler, %error, "a scheduler stopped: its next job could not be made");
    }
}

/// The pauses of a call that is repeated while the connection comes back: some three seconds in all.
pub(crate) fn reconnects() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(50)).with_jitter().with_max_times(6)
}

/// Gives a marker back that this worker popped and cannot follow: it has no free slot.
pub(super) async fn wake_another(queue: &Queue) {
    let args = vec![queue.keys.key("marker").into(), "0".into(), "0".into()];
    let _ = queue.redis.command("ZADD", args).await;
}

fn read_settled(queue: &Queue, reply: Reply, now_ms: u64) -> Result<Settled, RedisError> {
    let parts = <[Reply; 4]>::try_from(reply.into_list());
    let [refused, jobs, next_due, limited] = parts.map_err(|_| RedisError::Answer { what: "settle" })?;
    let refused = refused.into_list();
    let refused = refused
        .chunks_exact(2)
        .filter_map(|pair| Some((index(&pair[0])?, Refusal::from_code(pair[1].int()?))))
        .collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a due time; a cast saturates")]
    let next_due_ms = next_due.text().and_then(|due| due.parse::<f64>().ok()).map_or(0, |due| due.ceil() as u64);
    Ok(Settled {
        refused,
        claimed: read_claimed(queue, jobs, now_ms),
        next_due_ms: (next_due_ms > 0).then_some(next_due_ms),
        limited_for: (limited.count() > 0).then(|| Duration::from_millis(limited.count())),
    })
}

fn read_claimed(queue: &Queue, jobs: Reply, now_ms: u64) -> Vec<Claimed> {
    let read = |reply| {
        let (id, job) = wire::job::from_claim(&queue.name, reply);
        Claimed { id, job: job.map(|job| Job { processed_ms: Some(now_ms), ..job }) }
    };
    jobs.into_list().into_iter().map(read).collect()
}

/// A script's position, which counts from one, as an index.
fn index(position: &Reply) -> Option<usize> {
    usize::try_from(position.int()? - 1).ok()
}
