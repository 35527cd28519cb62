//! What a child prints, line by line: kept for the end of a failing test, and searched by tests that wait for a line.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, PipeReader};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

/// A test's whole story at the usual log level; beyond it the oldest lines go.
const KEPT: usize = 20_000;

/// How many of the last lines a failing test shows: more would bury the failure's own message.
const SHOWN: usize = 200;

/// Gets each line as it comes, on the thread that read it.
pub(super) type OnLine = Box<dyn FnMut(&str) + Send>;

#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Lines of both streams. The readers write, the test reads.
#[derive(Debug)]
pub(super) struct Output {
    log: Mutex<Log>,
    /// Sent after every change of the log, so that a waiting test looks again.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Log {
    lines: VecDeque<String>,
    /// Lines that came before the oldest kept one.
    forgotten: usize,
    /// Streams that are not at their end.
    open: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self { log: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Output {
    /// Reads `pipe` to its end on a thread of its own, so that lines arrive even while the test's runtime is busy.
    pub(super) fn follow(self: &Arc<Self>, stream: Stream, pipe: PipeReader, on_line: Option<OnLine>) {
        let output = Arc::clone(self);
        output.log().open += 1;
        std::thread::Builder::new()
            .name(format!("child's {stream:?}"))
            .spawn(move || output.read(pipe, on_line))
            .expect("a thread can be started");
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.log().lines.iter().cloned().collect()
    }

    /// The first line that satisfies the predicate; none when both streams ended without one.
    pub(super) async fn find(&self, predicate: impl Fn(&str) -> bool) -> Option<String> {
        let mut changes = self.changed.subscribe();
        let mut seen = 0_usize;
        loop {
            changes.borrow_and_update();
            {
                let log = self.log();
                let fresh = log.lines.iter().skip(seen.saturating_sub(log.forgotten));
                if let Some(line) = fresh.into_iter().find(|line| predicate(line)) {
                    return Some(line.clone());
                }
                seen = log.forgotten + log.lines.len();
                if log.open == 0 {
                    return None;
                }
            }
            changes.changed().await.ok()?;
        }
    }

    #[expect(clippy::print_stderr, reason = "the test is failing: this is where its reader looks")]
    pub(super) fn show(&self, name: &str) {
        let log = self.log();
        eprintln!("--- the last lines of {name}:");
        for line in log.lines.iter().skip(log.lines.len().saturating_sub(SHOWN)) {
            eprintln!("{line}");
        }
        eprintln!("--- end of {name}");
    }

    fn read(&self, pipe: PipeReader, mut on_line: Option<OnLine>) {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if let Some(on_line) = &mut on_line {
                on_line(&line);
            }
            self.change(|log| {
                if log.lines.len() == KEPT {
                    log.lines.pop_front();
                    log.forgotten += 1;
                }
                log.lines.push_back(line);
            });
        }
        self.change(|log| log.open -= 1);
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log());
        self.changed.send_replace(());
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder of the lock panics")
    }
}
