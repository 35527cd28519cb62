//! The packs of a worker: where they are, what their executors are given, and what the worker publishes of them.

use std::path::PathBuf;
use std::sync::Arc;

use operator_core::pack::{Advert, JobTypeInfo, PackInfo};
use operator_core::settings::{Reader, vars};
use operator_packs::Registry;
use operator_packs::library::{PackFolders, load};
use operator_packs::manifest::Manifest;
use operator_packs::provide::{Equipment, provide};
use operator_packs::secrets::Secrets;
use operator_packs::service::ServiceSettings;
use operator_queue::catalogue::AdvertiseOptions;
use operator_queue::now_ms;
use operator_queue::worker::WorkerOptions;
use operator_telemetry::ProcessEnv;

use crate::WorkerError;

/// What the names of the built-in job types begin with.
const SYSTEM: &str = "system";

/// Where packs come from, and what holds for all of them.
#[derive(Debug, Clone)]
pub struct PackSettings {
    /// Where they are.
    pub folders: PackFolders,
    /// A folder with a file for each secret.
    pub secrets_dir: Option<PathBuf>,
    /// What confines programs.
    #[cfg(target_os = "linux")]
    pub sandbox: operator_packs::sandbox::SandboxSettings,
    /// How what the worker runs is published.
    pub advertise: AdvertiseOptions,
}

impl PackSettings {
    /// No packs, unless they are added.
    pub(crate) fn none() -> Self {
        Self {
            folders: PackFolders::none(),
            secrets_dir: None,
            #[cfg(target_os = "linux")]
            sandbox: operator_packs::sandbox::SandboxSettings::default(),
            advertise: AdvertiseOptions::default(),
        }
    }

    /// What the environment says; what is wrong with it the reader reports.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let max_job_types = reader.number(&vars::OPERATOR_MAX_JOB_TYPES, 10_000, 1..=1_000_000);
        Self {
            folders: reader.text(&vars::OPERATOR_PACKS).map_or_else(PackFolders::usual, |text| folders(&text)),
            secrets_dir: reader.text(&vars::OPERATOR_SECRETS_DIR).map(PathBuf::from),
            #[cfg(target_os = "linux")]
            sandbox: operator_packs::sandbox::SandboxSettings::read(reader),
            advertise: AdvertiseOptions { max_job_types, ..AdvertiseOptions::default() },
        }
    }
}

fn folders(text: &str) -> PackFolders {
    let folders = text.split(',').map(str::trim).filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
    PackFolders { folders, required: true }
}

/// Loads the packs and registers their job types.
pub(crate) fn register(
    registry: &mut Registry,
    settings: &PackSettings,
    services: &ServiceSettings,
) -> Result<Vec<Manifest>, WorkerError> {
    let manifests = load(&settings.folders)?;
    if manifests.is_empty() {
        return Ok(manifests);
    }
    let equipment = Equipment {
        #[cfg(target_os = "linux")]
        sandbox: sandbox(&manifests, settings)?,
        secrets: Secrets::new(Arc::new(ProcessEnv), settings.secrets_dir.clone()),
        services: services.clone(),
    };
    for manifest in &manifests {
        provide(registry, manifest, &equipment)?;
        tracing::info!(pack = %manifest.pack, job_types = manifest.job_types.len(), "loaded a pack");
    }
    Ok(manifests)
}

/// A sandbox starts threads and a process, so a worker without programs has none.
#[cfg(target_os = "linux")]
fn sandbox(
    manifests: &[Manifest],
    settings: &PackSettings,
) -> Result<Option<operator_packs::sandbox::Sandbox>, WorkerError> {
    use operator_packs::manifest::ExecutorSpec;
    let mut job_types = manifests.iter().flat_map(|manifest| manifest.job_types.values());
    if !job_types.any(|spec| matches!(spec.executor, ExecutorSpec::Command(_))) {
        return Ok(None);
    }
    let sandbox = operator_packs::sandbox::Sandbox::new(settings.sandbox.clone())?;
    tracing::info!("{}", sandbox.describe());
    Ok(Some(sandbox))
}

/// What the worker publishes: its packs, the built-in one among them, and what the program registered by itself.
pub(crate) fn advert(manifests: &[Manifest], registry: &Registry, options: &WorkerOptions) -> Advert {
    let mut packs: Vec<_> = manifests.iter().map(Manifest::info).collect();
    let of_packs = |name: &str| manifests.iter().any(|manifest| manifest.job_types.contains_key(name));
    let is_built_in = |name: &str| name.split('.').next() == Some(SYSTEM);
    let (built_in, alone): (Vec<_>, Vec<_>) =
        registry.names().filter(|name| !of_packs(name)).map(str::to_owned).partition(|name| is_built_in(name));
    packs.extend(system(built_in));
    Advert {
        // Given when it is published.
        id: String::new(),
        name: options.name.clone().unwrap_or_else(|| "unnamed".to_owned()),
        queues: options.queues.clone(),
        packs,
        job_types: alone,
        any_name: registry.has_fallback(),
        started_ms: now_ms(),
    }
}

fn system(names: Vec<String>) -> Option<PackInfo> {
    Some(PackInfo {
        id: SYSTEM.to_owned(),
        version: env!("CARGO_PKG_VERSION").parse().ok()?,
        name: "System".to_owned(),
        description: "The job types that every worker has.".to_owned(),
        tags: Vec::new(),
        capabilities: Vec::new(),
        depends_on: Vec::new(),
        job_types: names.into_iter().map(|name| (name, JobTypeInfo::default())).collect(),
    })
}
