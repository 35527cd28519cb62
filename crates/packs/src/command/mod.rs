//! Runs jobs with programs in any language.
//!
//! A [`Command`] is the executor of one job type: it starts the program in a [`Sandbox`], or takes one that waits for its
//! next job, tells it the job and does what it says. The protocol is in `message`, one conversation in `talk`, what its
//! end means in `outcome`; what holds the program is left to the sandbox.

mod bounds;
mod job_program;
mod message;
mod outcome;
mod pipes;
mod pool;
mod speaker;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use operator_core::pack::Protection;
use operator_core::settings::Secret;
use operator_core::{Failure, Json};
use thiserror::Error;

pub use bounds::{Bounds, Persistent};
pub use job_program::JobProgram;
pub use message::PROTOCOL;
pub use outcome::{EXIT_LATER, EXIT_RATE_LIMITED, EXIT_UNRECOVERABLE, EXIT_WAIT};

use crate::manifest::JobTypeSpec;
use crate::sandbox::{Plan, Program, Sandbox, SandboxError};
use crate::secrets::{Redactor, SecretError, Secrets};
use crate::{Context, Executor};
use message::{Around, Document};
use pool::Pool;
use speaker::Speaker;
use talk::{Ended, Talk};

/// Why a job type cannot be run by its program.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The program, or a protection that it requires.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A secret that it lists.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The executor of a job type that a program runs.
pub struct Command {
    inner: Arc<Inner>,
}

struct Inner {
    sandbox: Sandbox,
    plan: Arc<Plan>,
    redactor: Redactor,
    bounds: Bounds,
    grace: Duration,
    pool: Option<Pool>,
}

impl Command {
    /// Checks that the program can be run as `spec` says, and reads its secrets.
    ///
    /// # Errors
    /// [`CommandError`], before any job is claimed.
    pub fn new(sandbox: &Sandbox, secrets: &Secrets, spec: JobProgram) -> Result<Self, CommandError> {
        let (env, redactor) = environment(&spec, secrets)?;
        let JobProgram { program, args, folder, grace, persistent, grants, limits, bounds, require, .. } = spec;
        let is_for_many = persistent.is_some();
        let plan = sandbox.plan(Program { program, args, folder, env, grants, limits, require, is_for_many })?;
        let pool = persistent.map(|persistent| Pool::new(persistent, grace));
        let inner = Inner { sandbox: sandbox.clone(), plan: Arc::new(plan), redactor, bounds, grace, pool };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The executor of a job type of a manifest; nothing when no program runs it.
    ///
    /// # Errors
    /// [`CommandError`], before any job is claimed.
    pub fn of(sandbox: &Sandbox, secrets: &Secrets, job_type: &JobTypeSpec) -> Result<Option<Self>, CommandError> {
        JobProgram::of(job_type).map(|program| Self::new(sandbox, secrets, program)).transpose()
    }

    /// The protections that the program has.
    #[must_use]
    pub fn protections(&self) -> &BTreeSet<Protection> {
        self.inner.plan.protections()
    }
}

impl Executor for Command {
    fn execute(&self, context: Context) -> BoxFuture<'static, Result<Json, Failure>> {
        let inner = Arc::clone(&self.inner);
        async move { inner.run(&context).await }.boxed()
    }
}

impl Inner {
    async fn run(&self, context: &Context) -> Result<Json, Failure> {
        let around = around(context).await?;
        let (ended, tail) = match &self.pool {
            None => self.run_once(context, &around).await?,
            Some(pool) => self.run_in(pool, context, &around).await?,
        };
        self.outcome(context, ended, &tail).await
    }

    async fn run_once(&self, context: &Context, around: &Around) -> Result<(Ended, String), Failure> {
        let mut speaker = self.start(context).await?;
        let tmp = speaker.folder().to_owned();
        let line = Document::of(context.job(), &tmp, around).line();
        let ended = Talk::new(context, &self.redactor, &self.bounds, false).hold(&mut speaker, line).await;
        let tail = speaker.tail();
        speaker.let_go(self.grace);
        Ok((ended, tail))
    }

    /// With a program that may have run other jobs, and may run more.
    async fn run_in(&self, pool: &Pool, context: &Context, around: &Around) -> Result<(Ended, String), Failure> {
        let free = tokio::select! {
            free = pool.take() => free,
            () = context.cancelled().cancelled() => return Err(context.stopped()),
        };
        let (mut speaker, slot) = match free {
            (Some(speaker), slot) => (speaker, slot),
            (None, slot) => (self.start(context).await?, slot),
        };
        let tmp = speaker.begin_job()?;
        let line = Document::of(context.job(), &tmp, around).line();
        let ended = Talk::new(context, &self.redactor, &self.bounds, true).hold(&mut speaker, line).await;
        let tail = speaker.tail();
        match &ended {
            Ended::Said(..) => pool.give_back(speaker, slot),
            _ => speaker.let_go(self.grace),
        }
        Ok((ended, tail))
    }

    async fn start(&self, context: &Context) -> Result<Speaker, Failure> {
        if context.cancelled().is_cancelled() {
            return Err(context.stopped());
        }
        let process = self.sandbox.start(&self.plan).await?;
        Ok(Speaker::new(process, self.bounds.line_bytes, self.grace))
    }
}

/// What the job is told besides what it is. Children are asked for only where there may be some: after an attempt that did
/// not count.
async fn around(context: &Context) -> Result<Around, Failure> {
    let has_come_back = context.job().attempts_started > context.attempt();
    let children = if has_come_back { Some(context.children_values::<Json>().await?) } else { None };
    Ok(Around { deadline: context.deadline_ms(), traceparent: context.traceparent(), children })
}

/// The environment of the program, and what knows its secrets.
fn environment(spec: &JobProgram, secrets: &Secrets) -> Result<(BTreeMap<String, Secret>, Redactor), SecretError> {
    let mut granted = BTreeMap::new();
    for name in &spec.secrets {
        let secret = secrets.get(name)?;
        if !Redactor::is_long_enough(&secret) {
            tracing::warn!(secret = name, "a secret is too short to be taken out of what jobs say");
        }
        granted.insert(name.clone(), secret);
    }
    let redactor = Redactor::new(granted.iter().map(|(name, secret)| (name.as_str(), secret)));
    let mut env = granted;
    for name in &spec.env {
        if let Some(value) = secrets.variable(name)? {
            env.entry(name.clone()).or_insert(value);
        }
    }
    Ok((env, redactor))
}
