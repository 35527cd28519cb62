//! One program with everything it was granted, checked once and started often.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use operator_core::pack::Protection;
use operator_core::settings::Secret;
use seccompiler::BpfProgram;

use super::users::Users;
use super::{Grants, Kernel, Limits, SandboxError, SandboxSettings, kernel as kernels, paths, syscalls};

/// What a manifest says about a program.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// A name to be looked up, or a path in the folder of the pack.
    pub program: String,
    /// What it is called with.
    pub args: Vec<String>,
    /// The folder of the pack: where the program begins, readable to it.
    pub folder: PathBuf,
    /// The whole environment besides `PATH`, `HOME` and `TMPDIR`; secrets among it.
    pub env: BTreeMap<String, Secret>,
    /// What it may reach.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
    /// The protections without which it must not run.
    pub require: BTreeSet<Protection>,
    /// Whether it runs many jobs: then the kernel, which cannot tell them apart, does not count its processor time.
    pub is_for_many: bool,
}

/// A program that can be started, with the rules it runs under.
pub struct Plan {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) env: BTreeMap<String, Secret>,
    /// The folder of the pack and what was granted or set besides the defaults.
    pub(super) readable: Vec<PathBuf>,
    pub(super) grants: Grants,
    pub(super) limits: Limits,
    pub(super) filters: Vec<BpfProgram>,
    pub(super) has_landlock: bool,
    pub(super) as_user: bool,
    pub(super) is_for_many: bool,
    protections: BTreeSet<Protection>,
}

impl Plan {
    pub(super) fn new(
        wanted: Program,
        kernel: &Kernel,
        settings: &SandboxSettings,
        users: &Users,
    ) -> Result<Self, SandboxError> {
        let Program { program, args, folder, mut env, grants, limits, require, is_for_many } = wanted;
        let folder = folder.canonicalize().map_err(|source| SandboxError::Folder { path: folder, source })?;
        let path = env.entry("PATH".to_owned()).or_insert_with(|| Secret::new(paths::DEFAULT_PATH));
        let program = paths::find(&program, &folder, path.expose())?;
        if let Some(path) = grants.read.iter().chain(&grants.write).find(|path| path.is_relative()) {
            return Err(SandboxError::Relative(path.clone()));
        }
        let readable = [std::slice::from_ref(&folder), &settings.read, &grants.read].concat();
        let has_landlock = kernel.landlock >= 1;
        if has_landlock && !is_readable(&program, &readable, &grants.write) {
            return Err(SandboxError::Unreadable(program));
        }
        let as_user = users.are_own() && [&folder, &program].into_iter().all(|path| paths::is_open_to_all(path));
        if users.are_own() && !as_user {
            let folder = folder.display();
            tracing::warn!(%folder, "a pack that other users cannot read runs as root without rights, not as another user");
        }
        let provides = |protection: &Protection| kernel.provides(*protection, &grants, as_user);
        let protections = Protection::ALL.into_iter().filter(provides).collect::<BTreeSet<_>>();
        if let Some(&protection) = require.difference(&protections).next() {
            return Err(SandboxError::Missing { protection, reason: kernels::wanted(protection) });
        }
        let filters = if kernel.has_seccomp { syscalls::filters(&grants)? } else { Vec::new() };
        Ok(Self {
            program,
            args,
            folder,
            env,
            readable,
            grants,
            limits,
            filters,
            has_landlock,
            as_user,
            is_for_many,
            protections,
        })
    }

    /// The protections that the program has.
    #[must_use]
    pub fn protections(&self) -> &BTreeSet<Protection> {
        &self.protections
    }

    /// The program with its arguments, as people would type it.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy();
        std::iter::once(name.as_ref()).chain(self.args.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }
}

/// Whether the program, where it really lies, is among what may be read and executed.
fn is_readable(program: &Path, readable: &[PathBuf], writable: &[PathBuf]) -> bool {
    let Ok(program) = program.canonicalize() else { return false };
    let defaults = paths::PROGRAMS.iter().map(Path::new);
    let others = readable.iter().chain(writable).map(PathBuf::as_path);
    defaults.chain(others).filter_map(|path| path.canonicalize().ok()).any(|path| program.starts_with(path))
}
