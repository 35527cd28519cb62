//! What the end of a program means for its job.

use std::fmt;
use std::time::Duration;

use operator_core::{Failure, Json};

use super::Inner;
use super::message::{End, Told};
use super::pipes;
use super::talk::Ended;
use crate::Context;
use crate::excerpt::Excerpt;
use crate::sandbox::Exit;

/// The job cannot succeed, whatever attempts it has left (EX_DATAERR).
pub const EXIT_UNRECOVERABLE: i32 = 65;

/// The job is to be tried again after [`EXIT_WAIT`], in an attempt that does not count (EX_TEMPFAIL).
pub const EXIT_LATER: i32 = 75;

/// The whole queue is to rest for [`EXIT_WAIT`], and the job goes back in line (EX_UNAVAILABLE).
pub const EXIT_RATE_LIMITED: i32 = 69;

/// How long a program asks to wait that can say so by its exit code alone.
pub const EXIT_WAIT: Duration = Duration::from_secs(30);

/// How often a program may put one attempt off before that counts as its failure.
const MAX_PAUSES: u32 = 100;

/// The longest code of a failure: a word.
const MAX_CODE_BYTES: usize = 100;

/// The longest message of a failure: what was meant for people, not an output.
const MAX_MESSAGE_BYTES: usize = 2000;

impl Inner {
    pub(super) async fn outcome(&self, context: &Context, ended: Ended, tail: &str) -> Result<Json, Failure> {
        let tail = self.redactor.text(tail);
        let stack = || pipes::stack(&tail);
        match ended {
            Ended::Said(End::Failure(told), _) => Err(self.told(context, told, stack()).await),
            Ended::Said(_, Some(exit)) | Ended::Exited(exit) if !exit.status.success() => {
                Err(self.exited(context, exit, stack()).await)
            }
            Ended::Said(End::Result(result), exit) => {
                self.note_leftovers(context, exit).await;
                Ok(result)
            }
            Ended::Said(End::Wait, _) => Err(wait(context).await),
            // A program that runs one job may have nothing to tell; one that runs many must have broken off.
            Ended::Exited(exit) if self.pool.is_none() => {
                self.note_leftovers(context, Some(exit)).await;
                Ok(Json::null())
            }
            Ended::Exited(exit) => {
                Err(Failure::retryable(format!("{self} {exit} in the middle of the job")).at(stack()))
            }
            Ended::Stopped => Err(context.stopped()),
            Ended::Broken(problem) => {
                Err(Failure::retryable(format!("{self} was ended because it {problem}")).at(stack()))
            }
            Ended::Refused(failure) => Err(failure),
        }
    }

    async fn told(&self, context: &Context, told: Told, stack: Vec<String>) -> Failure {
        let message = Excerpt(&self.redactor.text(&told.message), MAX_MESSAGE_BYTES).to_string();
        if let Some(ms) = told.rate_limited_ms {
            note(context, &format!("the queue rests for {ms} ms: {message}")).await;
            return context.rate_limit(Duration::from_millis(ms)).await;
        }
        if let Some(ms) = told.retry_after_ms.filter(|_| !told.is_final) {
            note(context, &format!("again in {ms} ms: {message}")).await;
            return put_off(context, Duration::from_millis(ms), message).await;
        }
        let failure = if told.is_final { Failure::unrecoverable(message) } else { Failure::retryable(message) };
        let code = told.code.map(|code| Excerpt(&self.redactor.text(&code), MAX_CODE_BYTES).to_string());
        Failure { code, ..failure.at(stack) }
    }

    async fn exited(&self, context: &Context, exit: Exit, stack: Vec<String>) -> Failure {
        let mut message = format!("{self} {exit}");
        if let Some(last) = stack.last() {
            message = format!("{message}: {}", Excerpt(last, MAX_MESSAGE_BYTES));
        }
        match exit.status.code() {
            Some(EXIT_LATER) => {
                note(context, &format!("again in {} s: {message}", EXIT_WAIT.as_secs())).await;
                put_off(context, EXIT_WAIT, message).await
            }
            Some(EXIT_RATE_LIMITED) => {
                note(context, &format!("the queue rests for {} s: {message}", EXIT_WAIT.as_secs())).await;
                context.rate_limit(EXIT_WAIT).await
            }
            Some(EXIT_UNRECOVERABLE) => Failure::unrecoverable(message).at(stack),
            _ => Failure::retryable(message).at(stack),
        }
    }

    async fn note_leftovers(&self, context: &Context, exit: Option<Exit>) {
        if exit.is_some_and(|exit| exit.left_others) {
            note(context, &format!("{self} left processes behind, which were ended")).await;
        }
    }
}

/// Lets the job come again after `pause`, unless its program has said so too often: every attempt ends.
async fn put_off(context: &Context, pause: Duration, message: String) -> Failure {
    let job = context.job();
    if job.attempts_started.saturating_sub(job.attempts_made) > MAX_PAUSES {
        return Failure::retryable(format!("{message} (put off {MAX_PAUSES} times in one attempt)"));
    }
    context.move_to_delayed(pause).await
}

/// Puts the job behind its children; one whose children have all finished meanwhile goes on as soon as it can.
async fn wait(context: &Context) -> Failure {
    match context.wait_for_children().await {
        Ok(()) => context.move_to_wait().await,
        Err(failure) => failure,
    }
}

/// For the log of the job. That it cannot be stored changes nothing of the outcome.
async fn note(context: &Context, line: &str) {
    let _ = context.log(line).await;
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.plan.describe())
    }
}
