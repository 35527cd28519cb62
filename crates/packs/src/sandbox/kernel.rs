//! Which protections there are, and which of them this machine can give.

use rustix::thread::{CapabilitySet, capabilities};

use super::{Grants, confine};

/// A protection that a pack can require.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// Only what was granted can be read, written and executed (Landlock).
    Filesystem,
    /// Only the TCP ports that were granted can be reached (Landlock), or no network at all (seccomp).
    Network,
    /// System calls that no pack needs are refused (seccomp); a program cannot leave its process group.
    Syscalls,
    /// No signal reaches a process outside (Landlock, or a user of its own).
    Signals,
    /// Each program runs as a user of its own, which has nothing else.
    User,
}

impl Protection {
    /// Every protection, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Filesystem, Self::Network, Self::Syscalls, Self::Signals, Self::User];

    /// Its name in a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Network => "network",
            Self::Syscalls => "syscalls",
            Self::Signals => "signals",
            Self::User => "user",
        }
    }

    /// The protection of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protection| protection.name() == name)
    }

    /// What would have to be different for it to be there.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Filesystem => "it needs Landlock, Linux 5.13 or newer",
            Self::Network => "ports need Landlock of Linux 6.7 or newer, no network needs seccomp",
            Self::Syscalls => "it needs seccomp filters",
            Self::Signals => "it needs Landlock of Linux 6.12 or newer, or users of their own",
            Self::User => {
                "it needs a worker that runs as root with OPERATOR_SANDBOX_UIDS, and a pack that other users can read"
            }
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

    #[test]
    fn a_protection_is_found_by_the_name_it_has_in_a_manifest() {
        for protection in Protection::ALL {
            assert_eq!(Protection::named(protection.name()), Some(protection));
        }
        assert_eq!(Protection::named("magic"), None);
    }
}
