//! The package managers we know: what they call each thing, and how they install it.

use std::process::{Command, Stdio};

use super::Need;
use crate::failure::Result;
use crate::program;

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Apt,
    Dnf,
    Apk,
    Brew,
}

impl Manager {
    const ALL: [Self; 4] = [Self::Apt, Self::Dnf, Self::Apk, Self::Brew];

    pub(super) fn of_this_machine() -> Option<Self> {
        Self::ALL.into_iter().find(|manager| program::find(&[manager.program()], &[]).is_some())
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Apk => "apk",
            Self::Brew => "brew",
        }
    }

    /// Whether there is a package that meets `need`. Debian has Valkey since version 13.
    pub(super) fn offers(self, need: Need) -> bool {
        if (self, need) != (Self::Apt, Need::Valkey) {
            return true;
        }
        let policy = program::output(Command::new("apt-cache").args(["policy", "valkey-server"]));
        policy.is_ok_and(|policy| policy.contains("Candidate:") && !policy.contains("Candidate: (none)"))
    }

    /// The line that installs `needs`, as one would type it.
    pub(super) fn line(self, become_root: &str, needs: &[Need]) -> String {
        let steps = self.steps(needs).into_iter();
        steps.map(|step| format!("{become_root}{}", step.join(" "))).collect::<Vec<_>>().join(" && ")
    }

    /// How to become root without asking anyone: nothing when there is no need to, `None` when it cannot be done.
    pub(super) fn privilege(self) -> Option<&'static str> {
        if self == Self::Brew || rustix::process::geteuid().is_root() {
            return Some("");
        }
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        sudo.status().is_ok_and(|status| status.success()).then_some("sudo -n ")
    }

    pub(super) fn install(self, become_root: &str, needs: &[Need]) -> Result<()> {
        for step in self.steps(needs) {
            let words: Vec<&str> = become_root.split_whitespace().chain(step).collect();
            let (first, rest) = words.split_first().expect("a step has at least a program");
            program::run(Command::new(first).args(rest).stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
        Ok(())
    }

    fn steps(self, needs: &[Need]) -> Vec<Vec<&'static str>> {
        let packages = needs.iter().flat_map(|need| self.packages(*need).iter().copied());
        let install: &[&str] = match self {
            Self::Apt => &["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "--assumeyes"],
            Self::Apk => &["apk", "add"],
            Self::Brew => &["brew", "install"],
        };
        let install = install.iter().copied().chain(packages).collect();
        // A new Debian machine has no package list at all, and an old one asks for files that are gone.
        if self == Self::Apt { vec![vec!["apt-get", "update", "--quiet"], install] } else { vec![install] }
    }

    const fn packages(self, need: Need) -> &'static [&'static str] {
        match (self, need) {
            (Self::Apt, Need::Redis) => &["redis-server"],
            (Self::Dnf | Self::Apk | Self::Brew, Need::Redis) => &["redis"],
            (Self::Apt, Need::Valkey) => &["valkey-server"],
            (Self::Dnf | Self::Apk | Self::Brew, Need::Valkey) => &["valkey"],
            (Self::Apt | Self::Dnf, Need::Pip) => &["python3-pip"],
            (Self::Apk, Need::Pip) => &["py3-pip"],
            (Self::Brew, Need::Pip) => &["python"],
            (Self::Dnf, Need::Postgres) => &["postgresql-server"],
            (Self::Apt | Self::Apk, Need::Postgres) => &["postgresql"],
            (Self::Brew, Need::Postgres) => &["postgresql@17"],
            (Self::Brew, Need::Node) => &["node"],
            (Self::Apt | Self::Dnf | Self::Apk, Need::Node) => &["nodejs", "npm"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_type_is_complete() {
        let line = Manager::Apt.line("sudo ", &[Need::Redis, Need::Node]);
        assert_eq!(
            line,
            "sudo apt-get update --quiet && \
             sudo apt-get install --yes --quiet --no-install-recommends redis-server nodejs npm"
        );
        assert_eq!(Manager::Brew.line("", &[Need::Postgres]), "brew install postgresql@17");
    }
}
