//! A program that runs, with its three pipes.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use operator_core::Failure;
use rustix::fs::{Mode, OFlags};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::{Instant, timeout};

use super::message::{self, Line};
use super::pipes::{Lines, Next, Tail};
use crate::sandbox::Process;

/// A program that runs. Dropped while it still does, it is told to stop, and after its grace it is ended.
pub(super) struct Speaker {
    /// None once somebody else sees to its end.
    pub(super) process: Option<Process>,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) out: Lines<ChildStdout>,
    pub(super) err: Tail<ChildStderr>,
    grace: Duration,
    /// The folder of the running job, of a program that runs many.
    job_folder: Option<JobFolder>,
    pub(super) jobs: u64,
    pub(super) since: Instant,
}

/// Made for the first job and again after each that left something in it.
struct JobFolder {
    path: PathBuf,
    /// As it was when it was empty: a name that comes or goes changes it.
    made: (i64, i64),
}

impl Speaker {
    pub(super) fn new(mut process: Process, max_line: usize, grace: Duration) -> Self {
        Self {
            stdin: process.stdin.take(),
            out: Lines::new(process.take_stdout(), max_line),
            err: Tail::new(process.take_stderr()),
            process: Some(process),
            grace,
            job_folder: None,
            jobs: 0,
            since: Instant::now(),
        }
    }

    /// The program itself.
    pub(super) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a speaker has its process until it is let go")
    }

    /// The folder that belongs to the program.
    pub(super) fn folder(&mut self) -> &str {
        self.process().folder().to_str().expect("the folders of programs are named by numbers, in a folder of text")
    }

    /// Counts anew, and gives the job a folder in which nobody was before.
    pub(super) fn begin_job(&mut self) -> Result<String, Failure> {
        self.jobs += 1;
        self.out.begin_job();
        self.err.begin_job();
        self.process().begin_job();
        let base = PathBuf::from(self.folder());
        let is_clean = self.job_folder.as_ref().is_some_and(JobFolder::is_clean);
        if !is_clean {
            self.job_folder = Some(JobFolder::make(&base, self.jobs)?);
        }
        let path = self.job_folder.as_ref().map_or(base.as_path(), |folder| &folder.path);
        Ok(path.to_string_lossy().into_owned())
    }

    /// Whether it waits quietly for a job. What it printed in between belongs to none, and messages are against the
    /// protocol.
    pub(super) fn is_ready(&mut self) -> bool {
        loop {
            match self.out.next().now_or_never() {
                None => return true,
                Some(Ok(Next::Line(line))) if matches!(message::read(&line), Line::Text(_)) => {}
                Some(_) => return false,
            }
        }
    }

    /// The last that it said on standard error.
    pub(super) fn tail(&self) -> String {
        self.err.text()
    }

    /// How long it may tidy up after it was told to stop.
    pub(super) fn grace(&self) -> Duration {
        self.grace
    }

    /// Asks it to end and waits until it has; after its grace it is ended.
    pub(super) async fn stop(&mut self) {
        let grace = self.grace;
        let process = self.process();
        process.ask_to_end();
        if timeout(grace, process.wait()).await.is_err() {
            process.kill();
            let _ = process.wait().await;
        }
    }

    /// Closes its input, which tells a program that runs many jobs that there are no more; then stops it.
    pub(super) fn let_go(mut self, grace: Duration) {
        self.stdin.take();
        if let Some(process) = self.process.take() {
            see_off(process, grace, false);
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stdin.take();
        if let Some(process) = self.process.take() {
            see_off(process, self.grace, true);
        }
    }
}

/// Lets a program end in a task of its own, so that whoever gave up the job need not wait. One that was not asked to end has
/// the same time to do so by itself.
pub(super) fn see_off(mut process: Process, grace: Duration, is_asked: bool) {
    if !process.is_running() {
        return;
    }
    // Without a runtime the process is dropped here, which ends it.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        if is_asked {
            process.ask_to_end();
        }
        if timeout(grace, process.wait()).await.is_err() {
            process.ask_to_end();
            process.kill();
            let _ = process.wait().await;
        }
    });
}

/// Tells the program its job. One that does not listen, or is gone, says so by how it ends.
pub(super) async fn tell(stdin: &mut Option<ChildStdin>, line: &[u8], is_all: bool) {
    if let Some(pipe) = stdin {
        let _ = pipe.write_all(line).await;
    }
    if is_all {
        stdin.take();
    }
}

impl JobFolder {
    fn make(base: &Path, number: u64) -> io::Result<Self> {
        let owner = fs::metadata(base)?;
        if let Some(last) = fs::read_dir(base)?.flatten().find(|entry| is_job_folder(&entry.file_name())) {
            fs::remove_dir_all(last.path())?;
        }
        let path = base.join(format!("{PREFIX}{number}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        if owner.uid() != rustix::process::geteuid().as_raw() {
            // The program runs and may put something else in this place meanwhile: a link must not be followed.
            let folder =
                rustix::fs::open(&path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            fchown(folder, Some(owner.uid()), Some(owner.gid()))?;
        }
        let made = changed(&path)?;
        Ok(Self { path, made })
    }

    fn is_clean(&self) -> bool {
        changed(&self.path).is_ok_and(|now| now == self.made)
    }
}

/// The folders of jobs begin so, beside what the program keeps for itself.
const PREFIX: &str = "job-";

fn is_job_folder(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX))
}

fn changed(path: &Path) -> io::Result<(i64, i64)> {
    fs::metadata(path).map(|metadata| (metadata.ctime(), metadata.ctime_nsec()))
}
