//! What the jobs of a type may do, and how much of the machine one of them may take.

use std::path::PathBuf;

use operator_core::pack::Protection;
use serde::Deserialize;

/// What is not named is not allowed. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Variables of the worker's environment that are passed on.
    pub env: Vec<String>,
    /// Secrets it is given, by name.
    pub secrets: Vec<String>,
    /// Files and folders it may read beside the folder of its pack.
    pub read: Vec<PathBuf>,
    /// Files and folders it may read and write.
    pub write: Vec<PathBuf>,
    /// TCP ports it may connect to.
    pub connect: Vec<u16>,
    /// TCP ports it may listen on.
    pub bind: Vec<u16>,
    /// How much of the machine one job may take.
    pub limits: Limits,
    /// Protections without which the worker refuses the pack, each once and in order.
    pub require: Vec<Protection>,
}

/// How much of the machine one job may take. The defaults suit a small script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory, of each process and of all together, MiB.
    pub memory_mb: u64,
    /// Time on processors of one job, seconds.
    pub cpu_seconds: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Open files and connections of each process.
    pub open_files: u64,
    /// The largest file it may write, MiB.
    pub file_size_mb: u64,
    /// All files in its own temporary folder, MiB.
    pub folder_mb: u64,
    /// How much it may print, KiB.
    pub output_kb: u64,
    /// One line of that, KiB.
    pub line_kb: u64,
    /// Its result, KiB.
    pub result_kb: u64,
    /// Lines it may add to the log of its job.
    pub log_lines: u64,
    /// Jobs it may add.
    pub children: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mb: 512,
            cpu_seconds: 60,
            processes: 32,
            open_files: 256,
            file_size_mb: 64,
            folder_mb: 256,
            output_kb: 4096,
            line_kb: 1024,
            result_kb: 1024,
            log_lines: 1000,
            children: 1000,
        }
    }
}
