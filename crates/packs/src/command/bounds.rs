//! How much a program may say about one job.

use std::time::Duration;

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
        Self { line_bytes: 1 << 20, output_bytes: 4 << 20, log_lines: 1000, result_bytes: 1 << 20, children: 1000 }
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
