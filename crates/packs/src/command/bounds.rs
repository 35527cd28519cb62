//! How much a program may say about one job.

use std::time::Duration;

use crate::manifest::Limits;

/// How much a program may say about one job. What exceeds a bound ends the program and fails the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// One line of standard output.
    pub line_bytes: usize,
    /// Standard output and standard error together.
    pub output_bytes: u64,
    /// Lines for the log of the job.
    pub log_lines: u64,
    /// The result.
    pub result_bytes: usize,
    /// Jobs that it adds.
    pub children: u64,
}

/// Enough for a talkative job; little enough for a hundred of them in the memory of one worker.
impl Default for Bounds {
    fn default() -> Self {
        Self::of(&Limits::default())
    }
}

impl Bounds {
    /// As a manifest states them.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        let bytes = |kb: u64| usize::try_from(kb << 10).unwrap_or(usize::MAX);
        Self {
            line_bytes: bytes(limits.line_kb),
            output_bytes: limits.output_kb << 10,
            log_lines: limits.log_lines,
            result_bytes: bytes(limits.result_kb),
            children: limits.children,
        }
    }
}

/// How a program is kept for many jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persistent {
    /// How many of them run at most: as many jobs of the type run at a time.
    pub processes: usize,
    /// One without a job is stopped after this long.
    pub idle: Duration,
    /// One is replaced after so many jobs.
    pub max_jobs: u64,
}

impl Default for Persistent {
    fn default() -> Self {
        Self { processes: 4, idle: Duration::from_secs(60), max_jobs: 100_000 }
    }
}
