//! Who may know whom. A crate of this workspace exists for a boundary that must not be crossed; here they are written.

use serde_json::Value;

use super::tree::{File, Finding, Tree};
use crate::failure::{Failure, Result};
use crate::program;
use crate::workspace::cargo;

/// What one crate may depend on within the workspace, beside the testkit in its tests.
struct Boundary {
    package: &'static str,
    normal: &'static [&'static str],
    tests: &'static [&'static str],
}

const BOUNDARIES: &[Boundary] = &[
    Boundary { package: "operator-core", normal: &[], tests: &[] },
    Boundary { package: "operator-queue", normal: &["core"], tests: &[] },
    Boundary { package: "operator-store", normal: &["core"], tests: &[] },
    Boundary { package: "operator-packs", normal: &["core"], tests: &[] },
    Boundary { package: "operator-telemetry", normal: &["core"], tests: &[] },
    Boundary { package: "operator-dispatcher", normal: &["core", "queue", "store", "telemetry"], tests: &[] },
    Boundary {
        package: "operator-worker",
        normal: &["core", "queue", "packs", "telemetry"],
        tests: &["store", "dispatcher"],
    },
    Boundary { package: "operator-cli", normal: &["core", "packs", "queue", "telemetry"], tests: &[] },
    Boundary { package: "operator-testkit", normal: &["core"], tests: &[] },
    Boundary { package: "operator-conformance", normal: &["core", "queue", "testkit"], tests: &[] },
    Boundary { package: "operator-bench", normal: &["core", "queue", "testkit"], tests: &[] },
    Boundary { package: "xtask", normal: &["core"], tests: &[] },
];

/// Libraries that only one crate may name, in any kind of dependency.
const OWNED: &[(&str, &str)] = &[("fred", "operator-queue"), ("sqlx", "operator-store")];

/// What core may be made of: data and rules, nothing that does I/O, keeps time or throws dice by itself.
const CORE_IS_MADE_OF: &[&str] = &["serde", "serde_json", "thiserror", "uuid", "jiff", "jsonschema", "semver"];

/// Ways to read a clock, dice or the outside world, which core leaves to its callers.
const NOT_IN_CORE: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "now_v7",
    "rand::",
    "std::env",
    "std::fs",
    "std::net",
    "async fn",
];

/// A package of the workspace with its dependencies.
#[derive(Debug)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    for_tests: bool,
}

/// The packages as cargo sees them.
pub(super) fn packages() -> Result<Vec<Package>> {
    let metadata = program::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| Failure::answer("cargo metadata", error))?;
    Ok(array(&metadata["packages"]).map(package).collect())
}

fn package(value: &Value) -> Package {
    let dependency = |value: &Value| Dependency { name: text(&value["name"]), for_tests: value["kind"] == "dev" };
    Package { name: text(&value["name"]), dependencies: array(&value["dependencies"]).map(dependency).collect() }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Every dependency that crosses a boundary.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(|package| crossings(package, packages)).collect()
}

fn crossings(package: &Package, packages: &[Package]) -> Vec<Finding> {
    let name = package.name.as_str();
    let finding = |remedy: String| Finding { path: manifest(name), line: 0, remedy };
    let Some(boundary) = BOUNDARIES.iter().find(|boundary| boundary.package == name) else {
        return vec![finding(format!("crate `{name}` has no boundary yet: say what it may know in tidy's table"))];
    };
    let mut found = Vec::new();
    for dependency in &package.dependencies {
        let other = dependency.name.as_str();
        let ours = packages.iter().any(|package| package.name == other);
        if ours && !boundary.allows(dependency) {
            found.push(finding(format!("`{name}` must not know `{other}`{}", dependency.when())));
        }
        if let Some((_, owner)) = OWNED.iter().find(|(library, owner)| *library == other && *owner != name) {
            found.push(finding(format!("only `{owner}` names `{other}`")));
        }
        if name == "operator-core" && !dependency.for_tests && !CORE_IS_MADE_OF.contains(&other) {
            found.push(finding(format!("core is types and rules without I/O: it does not need `{other}`")));
        }
    }
    found
}

impl Boundary {
    fn allows(&self, dependency: &Dependency) -> bool {
        let role = dependency.name.strip_prefix("operator-").unwrap_or(&dependency.name);
        self.normal.contains(&role) || dependency.for_tests && (role == "testkit" || self.tests.contains(&role))
    }
}

impl Dependency {
    const fn when(&self) -> &'static str {
        if self.for_tests { ", not even in tests" } else { "" }
    }
}

fn manifest(package: &str) -> String {
    match package.strip_prefix("operator-") {
        Some(role) => format!("crates/{role}/Cargo.toml"),
        None => format!("{package}/Cargo.toml"),
    }
}

/// Manifests that do not share the workspace's lints or versions, and sources of core that reach outside.
pub(super) fn check_manifests(tree: &Tree) -> Vec<Finding> {
    // The bench's peers are a workspace of their own.
    let manifests = tree.ending(&["/Cargo.toml"]).filter(|file| !file.path.starts_with("bench/peers/"));
    let manifests = manifests.flat_map(unshared);
    let core = tree.ending(&[".rs"]).filter(|file| file.path.starts_with("crates/core/src/")).flat_map(reaches_outside);
    manifests.chain(core).collect()
}

fn unshared(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    if !file.text.contains("[lints]\nworkspace = true") {
        found.push(file.finding("share the workspace's lints: [lints] workspace = true"));
    }
    let mut dependencies = false;
    for (number, line) in file.lines() {
        if line.starts_with('[') {
            dependencies = line.trim_end().ends_with("dependencies]");
        } else if dependencies && line.contains('=') && !line.starts_with('#') && !line.contains("workspace = true") {
            found.push(file.finding_at(number, "versions stand in the workspace's Cargo.toml: use workspace = true"));
        }
    }
    found
}

fn reaches_outside(file: &File) -> Vec<Finding> {
    let outside =
        |line: &str| NOT_IN_CORE.iter().find(|way| line.contains(**way) && !line.trim_start().starts_with("//"));
    let finding =
        |(number, line)| Some(file.finding_at(number, format!("core is handed what `{}` gives", outside(line)?)));
    file.lines().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    fn check_one(name: &str, other: &str, for_tests: bool, allowed: bool) {
        let dependency = Dependency { name: other.to_owned(), for_tests };
        let known = Package { name: other.to_owned(), dependencies: Vec::new() };
        let package = Package { name: name.to_owned(), dependencies: vec![dependency] };
        let ours = other.starts_with("operator-");
        let packages = if ours { vec![package, known] } else { vec![package] };
        assert_eq!(check(&packages).is_empty(), allowed, "{name} -> {other}");
    }

    #[test]
    fn the_house_stands_as_drawn() {
        check_one("operator-core", "operator-queue", false, false);
        check_one("operator-core", "tokio", false, false);
        check_one("operator-dispatcher", "operator-store", false, true);
        check_one("operator-dispatcher", "operator-packs", true, false);
        check_one("operator-worker", "operator-store", false, false);
        check_one("operator-worker", "operator-store", true, true);
        check_one("operator-queue", "operator-testkit", true, true);
        check_one("operator-queue", "operator-testkit", false, false);
        check_one("operator-store", "fred", true, false);
        check_one("operator-queue", "fred", false, true);
    }

    #[test]
    fn a_crate_without_a_boundary_is_refused() {
        let package = Package { name: "operator-extra".to_owned(), dependencies: Vec::new() };
        assert_eq!(check(&[package]).len(), 1);
    }

    #[test]
    fn versions_and_lints_are_shared() {
        let good = "[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";
        let bad = "[package]\nversion = \"1\"\n[dev-dependencies]\nserde = \"1\"\n";
        let files = [("crates/a/Cargo.toml", good), ("crates/b/Cargo.toml", bad)];
        assert_findings(check_manifests, &files, &["crates/b/Cargo.toml", "crates/b/Cargo.toml:4"]);
    }

    #[test]
    fn core_reads_no_clock() {
        let text = "//! Instant::now is not for us.\nlet now = Instant::now();\n";
        let files = [("crates/core/src/a.rs", text), ("crates/queue/src/a.rs", text)];
        assert_findings(check_manifests, &files, &["crates/core/src/a.rs:2"]);
    }
}
