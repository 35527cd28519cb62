//! `operator pack`: packs as a worker would load them, and those that workers have.

use std::io::Write as _;
use std::path::Path;

use operator_packs::library::{PackFolders, load};
use operator_packs::manifest::{JobTypeSpec, MANIFEST_SCHEMA, Manifest};
use operator_queue::catalogue::adverts;
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
use crate::run::Session;

/// Checks the packs in `folder` and prints what they would register, or everything that is wrong.
pub(crate) fn check(folder: &Path, output: &Output) -> Result<(), Failure> {
    let folders = PackFolders { folders: vec![folder.to_owned()], required: true };
    let manifests = load(&folders).or_else(|bad| {
        for problem in &bad.problems {
            let value = json!({
                "file": problem.file, "line": problem.line, "key": problem.key, "problem": problem.problem,
            });
            output.print(&value, || problem.to_string())?;
        }
        Err(Failure::BadPacks(bad.problems.len()))
    })?;
    for manifest in &manifests {
        output.print(&manifest.info(), || describe(manifest))?;
    }
    Ok(())
}

/// Prints the schema of manifests.
pub(crate) fn schema() -> Result<(), Failure> {
    std::io::stdout().write_all(MANIFEST_SCHEMA.as_bytes())?;
    Ok(())
}

/// Prints the packs of each live worker.
pub(crate) async fn list(session: &Session) -> Result<(), Failure> {
    for advert in adverts(&session.redis).await? {
        for pack in advert.packs {
            let line = Line {
                pack: pack.id,
                version: pack.version.to_string(),
                worker: advert.name.clone(),
                queues: advert.queues.iter().map(ToString::to_string).collect(),
                job_types: pack.job_types.into_keys().collect(),
            };
            session.output.print(&line, || {
                let (queues, job_types) = (line.queues.join(","), line.job_types.join(", "));
                format!("{}@{} on {} ({queues}): {job_types}", line.pack, line.version, line.worker)
            })?;
        }
    }
    Ok(())
}

/// A pack that a worker has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    pack: String,
    version: String,
    worker: String,
    queues: Vec<String>,
    job_types: Vec<String>,
}

fn describe(manifest: &Manifest) -> String {
    let mut lines = vec![format!("{} {}", manifest.pack, manifest.name)];
    lines.extend(manifest.job_types.values().map(describe_job_type));
    lines.join("\n")
}

fn describe_job_type(spec: &JobTypeSpec) -> String {
    let defaults = &spec.defaults;
    let mut said = vec![spec.executor.name().to_owned()];
    said.extend(defaults.attempts.map(|attempts| format!("attempts {attempts}")));
    said.extend(defaults.timeout_ms.map(|ms| format!("timeout {ms} ms")));
    said.extend(defaults.priority.map(|priority| format!("priority {}", priority.get())));
    said.extend(defaults.concurrency.map(|count| format!("{count} at a time")));
    let requires = &spec.permissions.require;
    if !requires.is_empty() {
        said.push(format!("requires {}", requires.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ")));
    }
    format!("  {}  {}", spec.name, said.join(", "))
}
