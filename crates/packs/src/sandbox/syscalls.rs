//! The system calls that no pack needs, refused by seccomp.
//!
//! A list of what is refused, not of what is allowed: programs in any language and of any age must run. What can be told
//! apart only by the path or address behind a pointer is left to Landlock.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::{Grants, SandboxError};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused whatever their arguments. By what they would do:
const REFUSED: &[i64] = &[
    // look into other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // leave the process group by which a program and what it started are ended together
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // change what the machine looks like
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // load code into the kernel
    libc::SYS_bpf,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    // reach keys, and memory that outlives every process
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Answered as a kernel would that does not know them, so that programs take another way: their arguments lie behind
/// pointers, where no filter sees them.
const UNKNOWN: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// The namespaces that a clone may not make.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
    // CLONE_NEWTIME, which shares its bit with the signal number of an ordinary clone, exists only in clone3.
    libc::CLONE_PTRACE,
];

/// The filters of a program with `grants`; none where the processor is not one the filters know.
pub(super) fn filters(grants: &Grants) -> Result<Vec<BpfProgram>, SandboxError> {
    let failed = |reason: String| SandboxError::Rules { protection: "syscalls", reason };
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| failed(error.to_string()))?;
    let refused = rules(grants).map_err(|error| failed(error.to_string()))?;
    let unknown = UNKNOWN.iter().map(|number| (*number, Vec::new())).collect();
    let compile = |rules: Rules, error: i32| -> Result<BpfProgram, seccompiler::BackendError> {
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()), arch)?.try_into()
    };
    let programs = [compile(refused, libc::EPERM), compile(unknown, libc::ENOSYS)];
    let programs = programs.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))?;
    Ok(programs.into_iter().map(without_second_numbers).collect())
}

/// On x86-64 every call has a second number, for programs with short pointers, that a list of numbers would miss.
fn without_second_numbers(mut program: BpfProgram) -> BpfProgram {
    if cfg!(target_arch = "x86_64") {
        let instruction = |code, jf, k| sock_filter { code, jt: 0, jf, k };
        let load_number = instruction(0x20, 0, 0);
        let if_second = instruction(0x35, 1, 0x4000_0000);
        let refuse = instruction(0x06, 0, 0x0005_0000 | libc::ENOSYS.unsigned_abs());
        program.splice(0..0, [load_number, if_second, refuse]);
    }
    program
}

fn rules(grants: &Grants) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|number| (*number, Vec::new())).collect();
    let all = NAMESPACES.iter().map(|flag| rule(&[has(0, *flag)])).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_clone, all);
    // A program must not free itself from dying with its worker, nor type into a terminal.
    rules.insert(libc::SYS_prctl, vec![rule(&[is(0, libc::PR_SET_PDEATHSIG)])?]);
    rules.insert(libc::SYS_ioctl, vec![rule(&[is(1, TIOCSTI)])?, rule(&[is(1, TIOCLINUX)])?]);
    // All processes at once are never a program's own.
    rules.insert(libc::SYS_kill, vec![rule(&[is(0, -1)])?]);
    // Asking is harmless; another personality can undo protections of the memory.
    rules.insert(libc::SYS_personality, vec![rule(&[is_not(0, 0), is_not(0, -1)])?]);
    network(&mut rules, grants)?;
    Ok(rules)
}

/// The oldest kind of socket that sees every packet; the C library no longer names it.
const SOCK_PACKET: i32 = 10;
/// The `ioctl` that puts a character into the input of a terminal.
const TIOCSTI: i32 = 0x5412;
/// The `ioctl` of the Linux console that can paste.
const TIOCLINUX: i32 = 0x541C;

/// Sockets: none without a grant; TCP, UDP and the kernel's table of routes with one. Landlock knows the ports of TCP only,
/// so whatever else could carry a stream is refused, and so is connecting by sending.
fn network(rules: &mut Rules, grants: &Grants) -> Result<(), seccompiler::BackendError> {
    if !grants.has_network() {
        rules.insert(libc::SYS_socket, Vec::new());
        return Ok(());
    }
    let (inet, inet6, netlink) = (libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK);
    let (tcp, udp) = (libc::IPPROTO_TCP, libc::IPPROTO_UDP);
    let mut sockets = vec![
        rule(&[is_not(0, inet), is_not(0, inet6), is_not(0, netlink)])?,
        rule(&[is(0, netlink), is_not(2, libc::NETLINK_ROUTE)])?,
        rule(&[kind(libc::SOCK_STREAM), is_not(2, 0), is_not(2, tcp)])?,
        rule(&[kind(libc::SOCK_DGRAM), is_not(2, 0), is_not(2, udp)])?,
    ];
    for other in [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET] {
        sockets.push(rule(&[is_not(0, netlink), kind(other)])?);
    }
    rules.insert(libc::SYS_socket, sockets);
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        rules.insert(call, vec![rule(&[has(flags, libc::MSG_FASTOPEN)])?]);
    }
    // Listening without a port of one's own takes any.
    if grants.bind.is_empty() {
        rules.insert(libc::SYS_listen, Vec::new());
    }
    Ok(())
}

/// An argument, an operator, and a value of 32 bits: the rest of the register says nothing.
type Condition = (u8, SeccompCmpOp, i32);

fn is(argument: u8, value: i32) -> Condition {
    (argument, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: i32) -> Condition {
    (argument, SeccompCmpOp::Ne, value)
}

fn has(argument: u8, flag: i32) -> Condition {
    (argument, SeccompCmpOp::MaskedEq(u64::from(flag.cast_unsigned())), flag)
}

/// The kind of a socket, without the flags in the same argument.
fn kind(kind: i32) -> Condition {
    (1, SeccompCmpOp::MaskedEq(0xf), kind)
}

fn rule(conditions: &[Condition]) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |(argument, operator, value): &Condition| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_of_every_kind_of_grant_fit_into_the_kernel() {
        for (connect, bind) in [(vec![], vec![]), (vec![443], vec![]), (vec![443], vec![8080])] {
            let programs = filters(&Grants { connect, bind, ..Grants::default() }).unwrap();
            assert!(programs.iter().all(|program| program.len() < 4096));
        }
    }
}
