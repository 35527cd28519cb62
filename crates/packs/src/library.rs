//! The packs of a worker: found in folders, checked one by one and against each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::manifest::{BadManifest, MANIFEST_FILE, Manifest, ManifestProblem};

/// The most packs in one folder: a path that was mistyped as `/` must not be searched.
const MAX_PACKS: usize = 500;

/// Where packs are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackFolders {
    /// Packs, or folders of packs.
    pub folders: Vec<PathBuf>,
    /// Whether they must be there.
    pub required: bool,
}

impl PackFolders {
    /// `./packs`, which need not be there.
    #[must_use]
    pub fn usual() -> Self {
        Self { folders: vec![PathBuf::from("packs")], required: false }
    }

    /// No packs.
    #[must_use]
    pub fn none() -> Self {
        Self { folders: Vec::new(), required: false }
    }
}

/// Loads every pack of `folders`.
///
/// # Errors
/// Everything that is wrong with any of them, or with all of them together.
pub fn load(folders: &PackFolders) -> Result<Vec<Manifest>, BadManifest> {
    let (mut manifests, mut problems) = (Vec::new(), Vec::new());
    for folder in &folders.folders {
        if !folders.required && !folder.exists() {
            continue;
        }
        match packs_in(folder) {
            Ok(packs) => {
                for pack in packs {
                    match Manifest::load(&pack) {
                        Ok(manifest) => manifests.push(manifest),
                        Err(bad) => problems.extend(bad.problems),
                    }
                }
            }
            Err(problem) => problems.push(about(folder.clone(), String::new(), problem)),
        }
    }
    // What a pack that cannot be read would provide is not known, so nothing is said of what is missing.
    if problems.is_empty() {
        problems = conflicts(&manifests);
    }
    if problems.is_empty() { Ok(manifests) } else { Err(BadManifest { problems }) }
}

/// The folder itself when it is a pack, else those in it that are.
fn packs_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if folder.join(MANIFEST_FILE).exists() {
        return Ok(vec![folder.to_owned()]);
    }
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot be read: {error}"))?;
    let mut packs: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join(MANIFEST_FILE).exists()).collect();
    if packs.len() > MAX_PACKS {
        return Err(format!("holds {} packs and at most {MAX_PACKS} are loaded from one folder", packs.len()));
    }
    packs.sort_unstable();
    if packs.is_empty() {
        Err(format!("holds no pack: neither it nor a folder in it has a {MANIFEST_FILE}"))
    } else {
        Ok(packs)
    }
}

/// What packs do to each other.
fn conflicts(manifests: &[Manifest]) -> Vec<ManifestProblem> {
    let (mut packs, mut job_types) = (BTreeMap::new(), BTreeMap::new());
    let mut problems = Vec::new();
    for manifest in manifests {
        let file = || manifest.pack.folder.join(MANIFEST_FILE);
        if let Some(other) = packs.insert(&manifest.pack.id, manifest) {
            let there = other.pack.folder.display();
            problems.push(about(
                file(),
                "id".to_owned(),
                format!("{} is also in {there}: load one of them", manifest.pack.id),
            ));
        }
        for name in manifest.job_types.keys() {
            if let Some(other) = job_types.insert(name, &manifest.pack).filter(|other| **other != manifest.pack) {
                let problem = format!("{other} has it, too: give one of them another name");
                problems.push(about(file(), format!("job_types.{name}"), problem));
            }
        }
    }
    for manifest in manifests {
        for dependency in &manifest.depends_on {
            let found = packs.get(&dependency.id).map(|other| &other.pack.version);
            if found.is_some_and(|version| dependency.versions.matches(version)) {
                continue;
            }
            let there = found.map_or_else(|| "none is loaded".to_owned(), |version| format!("{version} is loaded"));
            let problem = format!("{dependency} is needed and {there}: add it to OPERATOR_PACKS");
            problems.push(about(manifest.pack.folder.join(MANIFEST_FILE), "depends_on".to_owned(), problem));
        }
    }
    problems
}

fn about(file: PathBuf, key: String, problem: String) -> ManifestProblem {
    ManifestProblem { file, line: None, key, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with packs of these manifests.
    fn folder(manifests: &[&str]) -> (tempfile::TempDir, PackFolders) {
        let folder = tempfile::tempdir().unwrap();
        for (number, text) in manifests.iter().enumerate() {
            let pack = folder.path().join(format!("pack-{number}"));
            fs::create_dir(&pack).unwrap();
            fs::write(pack.join(MANIFEST_FILE), text).unwrap();
        }
        let folders = PackFolders { folders: vec![folder.path().to_owned()], required: true };
        (folder, folders)
    }

    fn told(manifests: &[&str]) -> String {
        load(&folder(manifests).1).unwrap_err().to_string()
    }

    const A: &str = "{id: a, version: 1.0.0, job_types: {x.y: {executor: {rust: {}}}}}";

    #[test]
    fn a_folder_is_a_pack_or_a_folder_of_packs() {
        let (kept, folders) = folder(&[A, "{id: b, version: 1.0.0, depends_on: [a ^1.0]}"]);
        let ids: Vec<_> = load(&folders).unwrap().into_iter().map(|manifest| manifest.pack.id.clone()).collect();
        assert_eq!(ids, ["a", "b"]);
        let one = PackFolders { folders: vec![kept.path().join("pack-0")], required: true };
        assert_eq!(load(&one).unwrap().len(), 1);
    }

    #[test]
    fn only_the_usual_folder_may_be_absent() {
        let absent = |required| PackFolders { folders: vec![PathBuf::from("/nowhere/packs")], required };
        assert_eq!(load(&absent(false)), Ok(Vec::new()));
        assert!(load(&absent(true)).unwrap_err().to_string().contains("/nowhere/packs: cannot be read"));
        assert!(told(&[]).contains("holds no pack"));
    }

    #[test]
    fn packs_that_do_not_go_together_are_refused() {
        assert!(told(&[A, A]).contains("id: a is also in"));
        let other = "{id: b, version: 2.0.0, job_types: {x.y: {executor: {rust: {}}}}}";
        assert!(told(&[A, other]).contains("job_types.x.y: a@1.0.0 has it, too"));
        assert!(told(&[A, "{id: b, version: 1.0.0, depends_on: [a >=2.0]}"]).contains("1.0.0 is loaded"));
        assert!(told(&["{id: b, version: 1.0.0, depends_on: [a]}"]).contains("none is loaded"));
    }
}
