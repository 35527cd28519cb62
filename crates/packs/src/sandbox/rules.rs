//! What Landlock lets a program do: the files it may use, the TCP ports it may reach, nobody outside it may signal.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};

use super::{Grants, SandboxError, paths};

/// The newest interface that the tests have met. An older kernel gives what it has.
const TESTED: ABI = ABI::V6;

/// The rules of one program, ready to be put into force; none on a kernel without Landlock.
pub(super) fn ruleset(readable: &[PathBuf], grants: &Grants, own: &Path) -> Result<Option<OwnedFd>, SandboxError> {
    let rules = build(readable, grants, own);
    let rules = rules.map_err(|error| SandboxError::Rules { protection: "filesystem", reason: error.to_string() })?;
    Ok(rules.into())
}

fn build(readable: &[PathBuf], grants: &Grants, own: &Path) -> Result<RulesetCreated, RulesetError> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    let device: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    // A device that a program made itself would lead past every rule about files.
    let write = AccessFs::from_all(TESTED) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    Ruleset::default()
        .handle_access(AccessFs::from_all(TESTED))?
        .handle_access(AccessNet::from_all(TESTED))?
        .scope(Scope::from_all(TESTED))?
        .create()?
        .add_rules(path_beneath_rules(paths::PROGRAMS, read))?
        .add_rules(path_beneath_rules(paths::SYSTEM, AccessFs::ReadFile | AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(paths::DEVICES, device))?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(&grants.write, write))?
        .add_rules(path_beneath_rules([own], write))?
        .add_rules(ports(&grants.connect, AccessNet::ConnectTcp))?
        .add_rules(ports(&grants.bind, AccessNet::BindTcp))
}

fn ports(ports: &[u16], access: AccessNet) -> impl Iterator<Item = Result<NetPort, RulesetError>> {
    ports.iter().map(move |port| Ok(NetPort::new(*port, access)))
}
