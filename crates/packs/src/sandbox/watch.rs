//! What the kernel does not count for a program and everything it started together: memory, processor time, processes,
//! and what lies in its folder. One thread looks at all programs several times a second and ends those beyond their limits.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Limits, SandboxError, confine, folder};

/// Between two looks, while programs run.
const INTERVAL: Duration = Duration::from_millis(100);

/// On a machine with very many processes a look takes long: the thread then rests so many times longer.
const REST: u32 = 50;

/// How long a count of all processes of a user is good for.
const RECENT: Duration = Duration::from_secs(1);

/// The limit that a program exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// All its processes together took more memory, in bytes.
    Memory(u64),
    /// The job took more processor time, in seconds.
    Cpu(u64),
    /// It had more processes and threads.
    Processes(u64),
    /// There was more in its folder, in bytes.
    Folder(u64),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(limit) => write!(f, "used more memory than the {} MiB it may", limit >> 20),
            Self::Cpu(limit) => write!(f, "used more processor time than the {limit} s it may"),
            Self::Processes(limit) => write!(f, "had more processes and threads than the {limit} it may"),
            Self::Folder(limit) => write!(f, "wrote more to its folder than the {} MiB it may", limit >> 20),
        }
    }
}

/// The programs that run, and the thread that looks at them.
pub(super) struct Watch {
    groups: Mutex<BTreeMap<i32, Arc<Watched>>>,
    /// Told when there is something to look at.
    changed: Condvar,
    /// How many processes and threads the worker's user has, and when they were counted.
    user_tasks: Mutex<Option<(Instant, u64)>>,
}

/// One program, as the watch and its process share it.
pub(super) struct Watched {
    limits: Limits,
    folder: PathBuf,
    /// Set once, by the watch, before it ends the program.
    excess: OnceLock<Excess>,
    /// Set when a job begins: the time used so far is not its.
    is_new_job: AtomicBool,
    /// Used before the job, in ticks of the kernel.
    base_ticks: AtomicU64,
}

/// Takes a program from the watch when it is dropped.
pub(super) struct Watching {
    watch: Arc<Watch>,
    group: i32,
    watched: Arc<Watched>,
}

impl Watch {
    pub(super) fn new() -> Result<Arc<Self>, SandboxError> {
        let watch = Arc::new(Self { groups: Mutex::default(), changed: Condvar::new(), user_tasks: Mutex::default() });
        let weak = Arc::downgrade(&watch);
        let run = move || {
            while let Some(watch) = weak.upgrade() {
                // Without a look there are no limits, so one that fails must not be the last.
                if catch_unwind(AssertUnwindSafe(|| watch.wait_and_look())).is_err() {
                    tracing::error!("a look at the running commands failed; the next one follows");
                    thread::sleep(INTERVAL);
                }
            }
        };
        thread::Builder::new().name("operator-watch".to_owned()).spawn(run).map_err(SandboxError::Thread)?;
        Ok(watch)
    }

    /// Looks at the process group `group` from now on.
    pub(super) fn add(self: &Arc<Self>, group: i32, limits: Limits, folder: PathBuf) -> Watching {
        let watched = Arc::new(Watched {
            limits,
            folder,
            excess: OnceLock::new(),
            is_new_job: AtomicBool::new(false),
            base_ticks: AtomicU64::new(0),
        });
        self.groups().insert(group, Arc::clone(&watched));
        self.changed.notify_one();
        Watching { watch: Arc::clone(self), group, watched }
    }

    /// How many processes and threads the worker's own user has, or had a moment ago: each process must be read.
    pub(super) fn user_tasks(&self) -> u64 {
        let mut counted = self.user_tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match *counted {
            Some((at, tasks)) if at.elapsed() < RECENT => tasks,
            _ => {
                let own = rustix::process::getuid().as_raw();
                let tasks =
                    pids().filter(|pid| uid_of(*pid) == Some(own)).filter_map(stat_of).map(|stat| stat.tasks).sum();
                *counted = Some((Instant::now(), tasks));
                tasks
            }
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<i32, Arc<Watched>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_and_look(&self) {
        // Woken now and then to notice that nobody holds the watch any more.
        let rest = Duration::from_secs(1);
        let waited = self.changed.wait_timeout_while(self.groups(), rest, |groups| groups.is_empty());
        let groups = waited.unwrap_or_else(PoisonError::into_inner).0.clone();
        if groups.is_empty() {
            return;
        }
        let begun = Instant::now();
        self.look_at(&groups);
        thread::sleep(INTERVAL.max(begun.elapsed() * REST));
    }

    fn look_at(&self, groups: &BTreeMap<i32, Arc<Watched>>) {
        let mut usage: BTreeMap<i32, Usage> = BTreeMap::new();
        // Asking for the group is far cheaper than reading a process that is none of ours.
        let is_ours = |pid: &i32| groups.contains_key(&confine::group_of(*pid));
        for stat in pids().filter(is_ours).filter_map(stat_of) {
            usage.entry(stat.group).or_default().add(&stat);
        }
        for (group, watched) in groups {
            if let Some(excess) = usage.get(group).and_then(|usage| watched.excess_of(usage)) {
                self.end_group(*group, watched, excess);
            }
        }
    }

    /// Under the lock, so that the group cannot be another's by now: a process leaves the watch before it is forgotten.
    fn end_group(&self, group: i32, watched: &Arc<Watched>, excess: Excess) {
        let groups = self.groups();
        if groups.get(&group).is_some_and(|current| Arc::ptr_eq(current, watched)) {
            let _ = watched.excess.set(excess);
            if let Some(pid) = Pid::from_raw(group) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
    }
}

impl Watched {
    fn excess_of(&self, usage: &Usage) -> Option<Excess> {
        if self.is_new_job.swap(false, Ordering::Relaxed) {
            self.base_ticks.store(usage.ticks, Ordering::Relaxed);
        }
        let limits = &self.limits;
        let ticks = usage.ticks.saturating_sub(self.base_ticks.load(Ordering::Relaxed));
        if usage.tasks > limits.processes {
            return Some(Excess::Processes(limits.processes));
        }
        if usage.resident() > limits.memory_bytes && usage.proportional() > limits.memory_bytes {
            return Some(Excess::Memory(limits.memory_bytes));
        }
        if ticks / rustix::param::clock_ticks_per_second() > limits.cpu_seconds {
            return Some(Excess::Cpu(limits.cpu_seconds));
        }
        let is_full = folder::size(&self.folder, limits.folder_bytes) > limits.folder_bytes;
        is_full.then_some(Excess::Folder(limits.folder_bytes))
    }
}

impl Watching {
    /// Counts processor time anew.
    pub(super) fn begin_job(&self) {
        self.watched.is_new_job.store(true, Ordering::Relaxed);
    }

    /// The limit for which the program was ended.
    pub(super) fn excess(&self) -> Option<Excess> {
        self.watched.excess.get().copied()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watch.groups().remove(&self.group);
    }
}

/// What a group uses, added up.
#[derive(Default)]
struct Usage {
    pids: Vec<i32>,
    tasks: u64,
    ticks: u64,
    pages: u64,
}

impl Usage {
    fn add(&mut self, stat: &Stat) {
        self.pids.push(stat.pid);
        self.tasks += stat.tasks;
        self.ticks += stat.ticks;
        self.pages += stat.pages;
    }

    /// Counts shared memory once for each that has it: quickly read, and never too little.
    fn resident(&self) -> u64 {
        self.pages * rustix::param::page_size() as u64
    }

    /// Counts shared memory once. A process that does not show it counts for nothing.
    fn proportional(&self) -> u64 {
        let pss = |pid: &i32| -> Option<u64> {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        let shown: Vec<_> = self.pids.iter().filter_map(pss).collect();
        if shown.is_empty() { self.resident() } else { shown.iter().sum::<u64>() << 10 }
    }
}

/// What the kernel tells of one process.
struct Stat {
    pid: i32,
    group: i32,
    tasks: u64,
    /// Processor time, its own and that of children it waited for.
    ticks: u64,
    pages: u64,
}

/// Every process of the machine that can be seen.
fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn uid_of(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid())
}

fn stat_of(pid: i32) -> Option<Stat> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of the program may hold anything, so fields are counted from its end. A zombie uses nothing any more.
fn parse(pid: i32, stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    let tasks = if fields.first() == Some(&"Z") { 0 } else { number(17)? };
    Some(Stat { pid, group: fields.get(2)?.parse().ok()?, tasks, ticks, pages: number(21)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_program_is_called() {
        let text = "7 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 10 20 3 4 20 0 5 0 99 1000 300 18446744073709551615";
        let stat = parse(7, text).unwrap();
        assert_eq!((stat.group, stat.tasks, stat.ticks, stat.pages), (42, 5, 37, 300));
        assert!(parse(7, "nonsense").is_none());
    }

    #[test]
    fn this_process_is_seen() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(pids().any(|pid| pid == own));
        let stat = stat_of(own).unwrap();
        assert!(stat.tasks >= 1 && stat.pages > 0 && confine::group_of(own) == stat.group);
    }
}
