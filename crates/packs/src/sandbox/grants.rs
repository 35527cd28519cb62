//! What a program may reach, and how much of everything it may use.

use std::path::PathBuf;

/// What a program may reach besides its own folder, the folder of its pack and what every program needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Files and folders it may read and execute.
    pub read: Vec<PathBuf>,
    /// Files and folders it may also change.
    pub write: Vec<PathBuf>,
    /// TCP ports it may connect to.
    pub connect: Vec<u16>,
    /// TCP ports it may listen on.
    pub bind: Vec<u16>,
}

impl Grants {
    /// Whether it may use the network at all.
    #[must_use]
    pub fn has_network(&self) -> bool {
        !self.connect.is_empty() || !self.bind.is_empty()
    }
}

/// How much of everything a program may use, together with everything it starts unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Memory: of each process by the kernel, of all together by the watch.
    pub memory_bytes: u64,
    /// Seconds of processor time, of one job.
    pub cpu_seconds: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// The size of each file it writes.
    pub file_bytes: u64,
    /// Everything in its own folder.
    pub folder_bytes: u64,
}

/// Enough for an interpreter that does ordinary work; too little to hurt the machine.
impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            cpu_seconds: 60,
            processes: 32,
            open_files: 256,
            file_bytes: 64 << 20,
            folder_bytes: 256 << 20,
        }
    }
}
