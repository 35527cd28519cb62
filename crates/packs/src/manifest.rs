//! `pack.yaml`: what a pack is, what its job types are, and what they may do, as plain data that was checked.
//!
//! Whatever is wrong is told all at once, each with file, line, key and what to do. Nothing here runs anything: executors
//! are made from a [`JobTypeSpec`] by whoever runs jobs.

mod check;
mod document;
mod error;
mod executors;
mod permissions;
mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use operator_core::Json;
use operator_core::pack::{Defaults, JobTypeInfo, PackInfo, Schema};
use semver::{Version, VersionReq};

pub use error::{BadManifest, ManifestProblem};
pub use executors::{CommandSpec, ExecutorSpec, HttpSpec};
pub use permissions::{Limits, Permissions};

/// The file every pack has.
pub const MANIFEST_FILE: &str = "pack.yaml";

/// The JSON Schema of that file.
pub const MANIFEST_SCHEMA: &str = include_str!("manifest/pack.schema.json");

/// A pack as its folder describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Which pack it is, and where.
    pub pack: Arc<PackSource>,
    /// What people call it; its id when it does not say.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who answers for it.
    pub author: String,
    /// Under which terms it may be used.
    pub license: String,
    /// The roles of those who may use it. Nothing here asks for them.
    pub required_roles: Vec<String>,
    /// Packs that must be loaded beside it.
    pub depends_on: Vec<Dependency>,
    /// What it says it can do.
    pub capabilities: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The JSON Schema of its configuration.
    pub config_schema: Option<Json>,
    /// Its job types by name.
    pub job_types: BTreeMap<String, JobTypeSpec>,
}

/// Which pack something belongs to. Shown as `id@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackSource {
    /// Its identity.
    pub id: String,
    /// Which state of it.
    pub version: Version,
    /// Its folder, absolute.
    pub folder: PathBuf,
}

impl fmt::Display for PackSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.version)
    }
}

/// A pack that another cannot do without. Shown as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Which pack.
    pub id: String,
    /// Which of its versions.
    pub versions: VersionReq,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.versions)
    }
}

/// A job type: what its jobs take and give, what runs them, and what that may do.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTypeSpec {
    /// The name of its jobs.
    pub name: String,
    /// The pack it belongs to.
    pub pack: Arc<PackSource>,
    /// What it does.
    pub description: String,
    /// What the data of its jobs must be; anything when absent.
    pub input: Option<Arc<Schema>>,
    /// What their results must be; anything when absent.
    pub output: Option<Arc<Schema>>,
    /// What runs them.
    pub executor: ExecutorSpec,
    /// What they get where whoever adds them says nothing.
    pub defaults: Defaults,
    /// What they may do.
    pub permissions: Permissions,
}

impl Manifest {
    /// Reads and checks the pack in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(folder: &Path) -> Result<Self, BadManifest> {
        check::load(folder)
    }

    /// What a worker publishes of it.
    #[must_use]
    pub fn info(&self) -> PackInfo {
        PackInfo {
            id: self.pack.id.clone(),
            version: self.pack.version.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            capabilities: self.capabilities.clone(),
            depends_on: self.depends_on.iter().map(ToString::to_string).collect(),
            job_types: self.job_types.iter().map(|(name, spec)| (name.clone(), spec.info())).collect(),
        }
    }
}

impl JobTypeSpec {
    /// What a worker publishes of it: nothing of where and how it runs.
    #[must_use]
    pub fn info(&self) -> JobTypeInfo {
        let source = |schema: &Option<Arc<Schema>>| schema.as_ref().map(|schema| schema.source().clone());
        JobTypeInfo {
            description: self.description.clone(),
            input: source(&self.input),
            output: source(&self.output),
            defaults: self.defaults.clone(),
            requires: self.permissions.require.clone(),
        }
    }
}
