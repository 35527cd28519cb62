//! What happens between the fork and the program: the one place that is not safe Rust.
//!
//! The child of a process with threads may call nothing but the system there: everything is prepared before, and the
//! closure below neither allocates nor locks. `rustix` calls the kernel without the C library.
#![expect(unsafe_code, reason = "what runs after a fork cannot be checked by the compiler; see the SAFETY comments")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::process::{self, Pid, Resource, Rlimit, Signal};
use rustix::thread::{self, CapabilitySet, CapabilitySets, Gid, Uid};
use seccompiler::BpfProgram;

use super::Limits;

/// Everything the child puts into force, prepared.
pub(super) struct Confinement {
    /// Landlock's rules, where the kernel has it.
    pub(super) ruleset: Option<OwnedFd>,
    /// seccomp's filters, in the order in which they are put into force.
    pub(super) filters: Vec<BpfProgram>,
    /// What the kernel counts of each process.
    pub(super) limits: [(Resource, Rlimit); 7],
    /// The user to become; without one the rights of root are given up.
    pub(super) uid: Option<u32>,
}

/// Beyond this no program of ours is asked for a core, a real-time priority or locked memory.
pub(super) fn rlimits(limits: &Limits, cpu_seconds: Option<u64>, user_tasks: u64) -> [(Resource, Rlimit); 7] {
    let exactly = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    // The second is the program's to say what it was doing; then it is killed.
    let cpu = Rlimit { current: cpu_seconds, maximum: cpu_seconds.map(|seconds| seconds + 1) };
    [
        (Resource::Core, exactly(0)),
        (Resource::Cpu, cpu),
        (Resource::Data, exactly(limits.memory_bytes)),
        (Resource::Fsize, exactly(limits.file_bytes)),
        (Resource::Nofile, exactly(limits.open_files)),
        (Resource::Nproc, exactly(user_tasks)),
        (Resource::Msgqueue, exactly(0)),
    ]
}

/// Makes `command` confine itself before it becomes its program.
pub(super) fn confine(command: &mut Command, confinement: Confinement) {
    let worker = process::getpid();
    // SAFETY: the closure runs in the forked child. It makes system calls on data that was allocated before the fork,
    // neither allocates nor frees (`Confinement` is only borrowed), takes no lock and cannot panic; an error is a number.
    unsafe {
        command.pre_exec(move || confinement.apply(worker));
    }
}

impl Confinement {
    /// In this order: what a later step would forbid comes first, and the filters of system calls last.
    fn apply(&self, worker: Pid) -> io::Result<()> {
        process::setsid()?;
        be_first_to_go();
        keep_no_descriptors();
        for (resource, limit) in &self.limits {
            set_limit(*resource, limit)?;
        }
        process::umask(Mode::from_raw_mode(0o077));
        self.become_user()?;
        // Becoming somebody else forgets it, so it comes after; and a worker that died before it is noticed here.
        process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if process::getppid() != Some(worker) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        thread::set_no_new_privs(true)?;
        if let Some(ruleset) = &self.ruleset {
            restrict(ruleset)?;
        }
        self.filters.iter().try_for_each(filter)
    }

    fn become_user(&self) -> io::Result<()> {
        let Some(id) = self.uid else {
            give_up_rights();
            return Ok(());
        };
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        thread::set_thread_groups(&[])?;
        thread::set_thread_res_gid(gid, gid, gid)?;
        thread::set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }
}

/// A limit that is already lower stays: only root could raise it.
fn set_limit(resource: Resource, wanted: &Rlimit) -> io::Result<()> {
    let now = process::getrlimit(resource);
    let least = |wanted: Option<u64>, now: Option<u64>| match (wanted, now) {
        (Some(wanted), Some(now)) => Some(wanted.min(now)),
        (wanted, now) => wanted.or(now),
    };
    let maximum = least(wanted.maximum, now.maximum);
    process::setrlimit(resource, Rlimit { current: least(wanted.current, maximum), maximum })?;
    Ok(())
}

/// A machine without memory should end a program before the worker. Where this cannot be said, nothing is lost.
fn be_first_to_go() {
    if let Ok(file) = rustix::fs::open(c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(&file, b"1000");
    }
}

/// Every descriptor but the three pipes closes when the program begins. Rust opens them so; a library might not.
fn keep_no_descriptors() {
    // SAFETY: marks descriptors of this process, which has only this thread.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if marked == 0 {
        return;
    }
    let open = process::getrlimit(Resource::Nofile).current.unwrap_or(4096).min(65_536);
    for descriptor in 3..i32::try_from(open).unwrap_or(4096) {
        // SAFETY: setting a flag of a descriptor that is not open is an error without effect.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Root without rights owns files and nothing else. Another user has none of them, which is no error.
fn give_up_rights() {
    for number in 0..=63 {
        let _ = thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number));
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let _ = thread::set_capabilities(None, sets);
}

fn restrict(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: takes a descriptor that is open and flags; changes only the calling thread, the only one.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn filter(program: &BpfProgram) -> io::Result<()> {
    seccompiler::apply_filter(program).map_err(|_| io::Error::last_os_error())
}

/// The version of Landlock's interface, 0 without it.
pub(super) fn landlock_version() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag and no attributes the call only answers a number.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION) };
    u32::try_from(answer).unwrap_or(0)
}

/// Whether system calls can be filtered, and refused with an error.
pub(super) fn has_seccomp() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: reads the action behind the pointer, which outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0_u32, &raw const action) };
    answer == 0 && seccompiler::TargetArch::try_from(std::env::consts::ARCH).is_ok()
}

/// The process group of a process, -1 when there is none such. That of the kernel's own threads is 0, for which `rustix` has
/// no number.
pub(super) fn group_of(pid: i32) -> i32 {
    // SAFETY: takes and answers a number.
    unsafe { libc::getpgid(pid) }
}
