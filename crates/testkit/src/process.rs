//! A program of ours as a child process: its environment is what the test gives it, its output is kept line by line and
//! shown when the test fails, and it never outlives the test.

mod output;

use std::ffi::OsStr;
use std::io::pipe;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use self::output::{OnLine, Output, Stream};
pub use crate::ports::free_port;
use crate::wait;

/// What a child needs to run at all. Everything else would let the machine's settings into the test.
const INHERITED: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT", "LLVM_PROFILE_FILE"];

/// A killed process is gone in well under this; waiting longer would only hide a failing test's message.
const BURIAL: Duration = Duration::from_secs(2);

/// A running child. Dropping it kills it; when the test is failing, what it printed is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Filled by one thread for each of the child's two streams, independent of the test's runtime.
    output: Arc<Output>,
}

/// What a process is to be started with.
pub struct ProcessBuilder {
    name: String,
    command: Command,
    on_line: Option<OnLine>,
}

impl ProcessBuilder {
    /// The name under which its output is shown; the program's own unless given.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// One argument more.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Several arguments more.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// One environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Several environment variables.
    #[must_use]
    pub fn envs<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// The folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gets every line of stdout as it comes, on a thread of its own; dropped at the end of stdout.
    #[must_use]
    pub(crate) fn on_line(mut self, on_line: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_line = Some(Box::new(on_line));
        self
    }

    /// Lets [`Process::take_stdin`] write to it; otherwise its stdin is empty.
    #[must_use]
    pub(crate) fn with_stdin(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// When there is no such program.
    #[must_use]
    pub fn start(mut self) -> Process {
        let (stdout, stdout_end) = pipe().expect("a pipe can be made");
        let (stderr, stderr_end) = pipe().expect("a pipe can be made");
        self.command.stdout(stdout_end).stderr(stderr_end);
        let child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {:?}: {error}", self.command.as_std().get_program()));
        // The command holds this side's copies of the writing ends: without them, output ends with the child.
        drop(self.command);
        let output = Arc::new(Output::default());
        output.follow(Stream::Stdout, stdout, self.on_line);
        output.follow(Stream::Stderr, stderr, None);
        Process { name: self.name, child, output }
    }
}

impl Process {
    /// A program by its path, such as `env!("CARGO_BIN_EXE_operator-worker")`, or by its name on the PATH.
    #[must_use]
    pub fn builder(program: impl AsRef<OsStr>) -> ProcessBuilder {
        let program = program.as_ref();
        let mut command = Command::new(program);
        let kept = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept).stdin(Stdio::null()).kill_on_drop(true);
        let name = std::path::Path::new(program).file_stem().unwrap_or(program).to_string_lossy().into_owned();
        ProcessBuilder { name, command, on_line: None }
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it printed so far on both streams, in the order of arrival, the oldest lines left out if there are many.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Everything it printed, when both its streams have ended.
    pub async fn output(&self) -> Vec<String> {
        // No line satisfies this, so the search ends with the streams.
        let _ = self.output.find(|_| false).await;
        self.lines()
    }

    /// Waits for a line that satisfies `predicate`, on either stream, among those it printed already and those to come.
    ///
    /// # Panics
    ///
    /// When the output ends without such a line, or none comes within [`wait::LIMIT`].
    pub async fn wait_for_line(&self, what: &str, predicate: impl Fn(&str) -> bool) -> String {
        match timeout(wait::LIMIT, self.output.find(predicate)).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended without printing: {what}", self.name),
            Err(_) => panic!("waited {} s in vain for {} to print: {what}", wait::LIMIT.as_secs(), self.name),
        }
    }

    /// Kills it at once (SIGKILL) and returns when it is gone.
    pub async fn kill9(&mut self) {
        // Fails only when the process is already gone.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    /// Asks it to end (SIGTERM); [`Self::wait_exit`] tells when it has.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    pub fn terminate(&self) {
        let id = self.id().unwrap_or_else(|| panic!("{} has ended already", self.name));
        crate::signal::send("TERM", id);
    }

    /// Stops it where it stands (SIGSTOP), as a machine that hangs does.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    pub fn pause(&self) {
        crate::signal::send("STOP", self.id().unwrap_or_else(|| panic!("{} has ended already", self.name)));
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Panics
    ///
    /// When it has ended already.
    pub fn resume(&self) {
        crate::signal::send("CONT", self.id().unwrap_or_else(|| panic!("{} has ended already", self.name)));
    }

    /// Waits until it ends by itself and returns its exit code; none when a signal ended it.
    ///
    /// # Panics
    ///
    /// When it does not end within [`wait::LIMIT`].
    pub async fn wait_exit(&mut self) -> Option<i32> {
        match timeout(wait::LIMIT, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for").code(),
            Err(_) => panic!("{} did not end within {} s", self.name, wait::LIMIT.as_secs()),
        }
    }

    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let deadline = Instant::now() + BURIAL;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        if std::thread::panicking() {
            self.output.show(&self.name);
        }
    }
}
