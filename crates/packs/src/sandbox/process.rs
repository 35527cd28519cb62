//! One running program and everything it started, which end together.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::confine::{Confinement, confine, rlimits};
use super::folder::Folder;
use super::guardian::Guardian;
use super::users::User;
use super::watch::Watching;
use super::{Excess, Inner, Plan, SandboxError, rules};

/// Where the number of a user's processes is not counted apart, what may come besides the program's own: the limit then only
/// keeps a machine alive until the watch looks.
const OTHERS_TASKS: u64 = 1024;

/// One running program. What it and all it started hold is let go when this is dropped: they are killed, their folder is
/// removed.
pub struct Process {
    /// The program's standard input; taken to be closed.
    pub stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    body: Option<Body>,
}

/// What must be let go in order: processes, then what they used.
struct Body {
    child: Child,
    group: Pid,
    /// Set when the program has ended and its group was ended with it: from then on the number may be another's.
    is_over: bool,
    left_others: bool,
    watching: Watching,
    guardian: Arc<Guardian>,
    folder: Folder,
    /// Nobody else may have it before the processes are gone.
    _user: Option<User>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// What the system says.
    pub status: ExitStatus,
    /// The limit for which it was ended.
    pub excess: Option<Excess>,
    /// Whether something that it had started still ran, and was ended.
    pub left_others: bool,
}

impl Process {
    pub(super) async fn start(sandbox: &Arc<Inner>, plan: &Arc<Plan>) -> Result<Self, SandboxError> {
        let (inner, plan) = (Arc::clone(sandbox), Arc::clone(plan));
        sandbox.spawner.run(move || Self::fork(&inner, &plan)).await
    }

    /// On the thread for it.
    fn fork(sandbox: &Inner, plan: &Plan) -> Result<Self, SandboxError> {
        let user = if plan.as_user { sandbox.users.take()? } else { None };
        let uid = user.as_ref().map(User::uid);
        let folder = sandbox.folders.make(uid)?;
        let mut child = command(sandbox, plan, folder.path(), uid)?
            .spawn()
            .map_err(|source| SandboxError::Start { program: plan.program.display().to_string(), source })?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = group.expect("a child that nobody waited for has a process id");
        let number = group.as_raw_nonzero().get();
        sandbox.guardian.add(number);
        let watching = sandbox.watch.add(number, plan.limits.clone(), folder.path().to_owned());
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            body: Some(Body {
                child,
                group,
                is_over: false,
                left_others: false,
                watching,
                guardian: Arc::clone(&sandbox.guardian),
                folder,
                _user: user,
            }),
        })
    }

    /// The program's standard output, to be taken once.
    ///
    /// # Panics
    /// When it was taken before.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().expect("standard output is a pipe that is taken once")
    }

    /// The program's standard error, to be taken once.
    ///
    /// # Panics
    /// When it was taken before.
    pub fn take_stderr(&mut self) -> ChildStderr {
        self.stderr.take().expect("standard error is a pipe that is taken once")
    }

    /// The folder of the program: its `TMPDIR` and `HOME`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.body().folder.path()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        let body = self.body_mut();
        let is_running = body.child.try_wait().is_ok_and(|status| status.is_none());
        if !is_running {
            body.end_group();
        }
        is_running
    }

    /// Says that the program works on another job now, whose processor time is counted from here.
    pub fn begin_job(&self) {
        self.body().watching.begin_job();
    }

    /// Asks the program and all it started to end.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends the program and all it started.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits for the end of the program, then ends what it left behind. What they wrote can still be read.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        let body = self.body_mut();
        let status = body.child.wait().await?;
        body.end_group();
        Ok(Exit { status, excess: body.watching.excess(), left_others: body.left_others })
    }

    fn signal(&self, signal: Signal) {
        let body = self.body();
        if !body.is_over {
            let _ = kill_process_group(body.group, signal);
        }
    }

    fn body(&self) -> &Body {
        self.body.as_ref().expect("a process has its body until it is dropped")
    }

    fn body_mut(&mut self) -> &mut Body {
        self.body.as_mut().expect("a process has its body until it is dropped")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        body.end_group();
        // Removing a folder takes as long as it is large, and must not come before the end of whoever writes to it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = body.child.wait().await;
                let _ = spawn_blocking(move || drop(body)).await;
            });
        }
    }
}

impl Body {
    /// Ends every process of the group, once. A process cannot leave its group, and the kernel lets none slip through that
    /// is being made meanwhile. The number cannot be another group's: as long as one process of the group is there nobody
    /// else gets it, and the moment after the end of the program is too short to come round to it again.
    fn end_group(&mut self) {
        if !self.is_over {
            self.is_over = true;
            self.left_others = kill_process_group(self.group, Signal::KILL).is_ok();
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.guardian.remove(self.group.as_raw_nonzero().get());
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(excess) = self.excess {
            return write!(f, "was ended because it {excess}");
        }
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "ended with exit code {code}"),
            (None, Some(libc::SIGXCPU)) => f.write_str("was ended because it used more processor time than it may"),
            (None, Some(libc::SIGXFSZ)) => f.write_str("was ended because it wrote a larger file than it may"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}{}", name_of(signal)),
            (None, None) => f.write_str("ended"),
        }
    }
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        libc::SIGKILL => " (SIGKILL)",
        libc::SIGTERM => " (SIGTERM)",
        libc::SIGSEGV => " (SIGSEGV)",
        libc::SIGABRT => " (SIGABRT)",
        libc::SIGBUS => " (SIGBUS)",
        libc::SIGSYS => " (SIGSYS)",
        libc::SIGINT => " (SIGINT)",
        libc::SIGPIPE => " (SIGPIPE)",
        _ => "",
    }
}

/// The program with its environment and pipes, confined.
fn command(sandbox: &Inner, plan: &Plan, own: &Path, uid: Option<u32>) -> Result<Command, SandboxError> {
    let mut command = std::process::Command::new(&plan.program);
    command.args(&plan.args).current_dir(&plan.folder).env_clear();
    command.env("HOME", own).env("TMPDIR", own);
    command.envs(plan.env.iter().map(|(name, value)| (name, value.expose())));
    let ruleset = if plan.has_landlock { rules::ruleset(&plan.readable, &plan.grants, own)? } else { None };
    let tasks = plan.limits.processes + if uid.is_some() { 0 } else { sandbox.watch.user_tasks() + OTHERS_TASKS };
    let cpu_seconds = (!plan.is_for_many).then_some(plan.limits.cpu_seconds);
    let limits = rlimits(&plan.limits, cpu_seconds, tasks);
    confine(&mut command, Confinement { ruleset, filters: plan.filters.clone(), limits, uid });
    let mut command = Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}
