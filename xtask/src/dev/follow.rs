//! Follows the jobs from outside, as the dispatcher counts them: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use operator_core::time::iso;
use serde_json::Value;

use super::interrupt::Interrupt;
use super::services::{QUEUE, Services};
use super::stack::Stack;
use super::{LOOK_AGAIN, http};
use crate::failure::{Failure, Result};

/// Nothing finished for this long means that something is wrong; the longest delay of an example job is 2 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue's counts, and how they stood before the run.
pub(super) struct Watch {
    url: String,
    expected: u64,
    before: Counts,
    began: Instant,
    /// The same moment as the API writes times.
    began_at: String,
}

/// How many jobs of the queue have ended, and how many have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    completed: u64,
    failed: u64,
    open: u64,
}

/// What came of the jobs.
pub(super) struct Run {
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) took: Duration,
    /// When it began, as the API writes times.
    pub(super) began_at: String,
}

impl Watch {
    /// Notes the counts before the jobs are added.
    pub(super) fn begin(services: &Services, jobs: usize) -> Result<Self> {
        let url = format!("{}/queues/{QUEUE}", services.dispatcher);
        let before = Counts::of(&http::get(&url)?);
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
        Ok(Self { url, expected: jobs as u64, before, began: Instant::now(), began_at: iso(now_ms) })
    }

    /// Shows the progress until every job has ended.
    pub(super) fn until_finished(&self, stack: &mut Stack, interrupt: &Interrupt) -> Result<Run> {
        let mut display = Display::new(self.expected);
        let mut last_change = (0, Instant::now());
        loop {
            interrupt.check()?;
            stack.check()?;
            let counts = Counts::of(&http::get(&self.url)?);
            let run = self.run_so_far(counts);
            let ended = run.completed + run.failed;
            display.show(ended, counts);
            if ended >= self.expected {
                display.end();
                return Ok(run);
            }
            if ended != last_change.0 {
                last_change = (ended, Instant::now());
            }
            if last_change.1.elapsed() > PATIENCE {
                let problem = format!("{ended} of {} jobs ended, and none in {} s", self.expected, PATIENCE.as_secs());
                return Err(Failure::answer("the jobs do not finish", problem));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn run_so_far(&self, now: Counts) -> Run {
        Run {
            completed: now.completed.saturating_sub(self.before.completed),
            failed: now.failed.saturating_sub(self.before.failed),
            took: self.began.elapsed(),
            began_at: self.began_at.clone(),
        }
    }
}

impl Counts {
    /// Reads the answer of `GET /queues/{queue}`.
    fn of(queue: &Value) -> Self {
        let count = |state: &str| queue["counts"][state].as_u64().unwrap_or(0);
        let open = ["waiting", "prioritized", "delayed", "active", "waiting-children"];
        Self { completed: count("completed"), failed: count("failed"), open: open.into_iter().map(count).sum() }
    }
}

/// How progress is shown.
enum Display {
    Bar(ProgressBar),
    /// With the number of jobs, and how many had ended at the last line.
    Lines(u64, Option<u64>),
}

impl Display {
    fn new(expected: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(expected, None);
        }
        let template = "   [{bar:40}] {pos}/{len} ended, {msg} ({elapsed})";
        let style = ProgressStyle::with_template(template).expect("the template is a constant that parses");
        Self::Bar(ProgressBar::new(expected).with_style(style.progress_chars("=> ")))
    }

    fn show(&mut self, ended: u64, counts: Counts) {
        let open = format!("{} failed, {} to go", counts.failed, counts.open);
        match self {
            Self::Bar(bar) => {
                bar.set_message(open);
                bar.set_position(ended);
            }
            Self::Lines(expected, shown) if *shown != Some(ended) => {
                println!("   {ended}/{expected} ended, {open}");
                *shown = Some(ended);
            }
            Self::Lines(..) => {}
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_earlier_runs_are_not_counted() {
        let answer = serde_json::json!({"counts": {"completed": 12, "failed": 3, "waiting": 1, "waiting-children": 2}});
        let counts = Counts::of(&answer);
        assert_eq!(counts, Counts { completed: 12, failed: 3, open: 3 });
        let before = Counts { completed: 10, failed: 3, open: 0 };
        let (url, began_at) = (String::new(), String::new());
        let run = Watch { url, expected: 2, before, began: Instant::now(), began_at }.run_so_far(counts);
        assert_eq!((run.completed, run.failed), (2, 0));
    }
}
