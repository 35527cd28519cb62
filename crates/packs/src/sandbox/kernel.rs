//! Which protections there are, and which of them this machine can give.

use operator_core::pack::Protection;
use rustix::thread::{CapabilitySet, capabilities};

use super::{Grants, confine};

/// What would have to be different for `protection` to be there.
pub(super) fn wanted(protection: Protection) -> &'static str {
    match protection {
        Protection::Filesystem => "it needs Landlock, Linux 5.13 or newer",
        Protection::Network => "ports need Landlock of Linux 6.7 or newer, no network needs seccomp",
        Protection::Syscalls => "it needs seccomp filters",
        Protection::Signals => "it needs Landlock of Linux 6.12 or newer, or users of their own",
        Protection::User => {
            "it needs a worker that runs as root with OPERATOR_SANDBOX_UIDS, and a pack that other users can read"
        }
    }
}

/// What the kernel and the rights of this process allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The version of Landlock's interface, 0 without it.
    pub landlock: u32,
    /// Whether system calls can be filtered.
    pub has_seccomp: bool,
    /// Whether this process may run others as other users, and stop them.
    pub switches_users: bool,
}

/// Since this version Landlock knows TCP ports.
const LANDLOCK_PORTS: u32 = 4;

/// Since this version Landlock keeps signals inside.
const LANDLOCK_SIGNALS: u32 = 6;

impl Kernel {
    /// Asks the kernel.
    #[must_use]
    pub fn detect() -> Self {
        let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL | CapabilitySet::CHOWN;
        let has_rights = capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
        Self {
            landlock: confine::landlock_version(),
            has_seccomp: confine::has_seccomp(),
            switches_users: rustix::process::geteuid().is_root() && has_rights,
        }
    }

    /// Whether a program with `grants` has `protection`, `as_user` when it has a user of its own.
    #[must_use]
    pub fn provides(&self, protection: Protection, grants: &Grants, as_user: bool) -> bool {
        match protection {
            Protection::Filesystem => self.landlock >= 1,
            Protection::Network if grants.has_network() => self.has_seccomp && self.landlock >= LANDLOCK_PORTS,
            Protection::Network | Protection::Syscalls => self.has_seccomp,
            Protection::Signals => self.landlock >= LANDLOCK_SIGNALS || as_user,
            Protection::User => as_user,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_need_a_newer_kernel_than_no_network_at_all() {
        let kernel = Kernel { landlock: 3, has_seccomp: true, switches_users: false };
        let https = Grants { connect: vec![443], ..Grants::default() };
        assert!(kernel.provides(Protection::Network, &Grants::default(), false));
        assert!(!kernel.provides(Protection::Network, &https, false));
        assert!(!kernel.provides(Protection::Signals, &https, false));
        assert!(kernel.provides(Protection::Signals, &https, true));
    }
}
