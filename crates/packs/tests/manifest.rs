//! Manifests as people write them: what is read of a good one, and how a bad one is pointed at.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as expected")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use operator_core::pack::{Protection, Schema};
use operator_core::{Backoff, Json, Keep};
use operator_packs::manifest::{ExecutorSpec, Limits, MANIFEST_SCHEMA, Manifest};
use tempfile::TempDir;

/// Everything that can stand in a manifest.
const FULL: &str = r#"id: infra-devops
name: Infrastructure
version: 1.2.0
description: What runs the machines.
author: BlackRoad OS
license: MIT
required_roles: [operator]
depends_on: ["base >=1.0, <3", other]
capabilities: [deploy]
tags: [infra]
config_schema: {type: object}
job_types:
  infra.test_job:
    description: Does nothing for a while.
    input: schemas/test_job.schema.json
    output: {type: object}
    executor:
      command: {program: python3, args: [jobs/test_job.py, --now], persistent: true, grace_ms: 100}
    defaults:
      queue: infra
      priority: low
      attempts: 3
      backoff: {type: exponential, delay_ms: 1000, jitter: 0.5}
      not_retried: [validation_error]
      timeout_ms: 120000
      ttl_ms: 0
      heartbeat_timeout_ms: 5000
      remove_on_complete: {age: 3600, count: 100}
      remove_on_fail: false
      concurrency: 4
    permissions:
      env: [LANG]
      secrets: [API_KEY]
      read: [/usr/share/zoneinfo, data]
      write: [/var/tmp]
      connect: [443]
      bind: [8080]
      limits: {memory_mb: 64}
      require: [syscalls, network]
  infra.hook:
    executor:
      http: {url: "https://example.com/jobs", secret: KEY, headers: {x-team: infra}, callback: true}
    permissions: {secrets: [KEY]}
  infra.native:
    executor:
      rust: {}
"#;

/// A pack folder with this manifest, a schema and a program.
fn pack(manifest: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (file, text) in [
        ("pack.yaml", manifest),
        ("schemas/test_job.schema.json", r#"{"type": "object"}"#),
        ("schemas/broken.schema.json", r#"{"type": "objekt"}"#),
        ("schemas/text.schema.json", "type: object"),
        ("jobs/test_job.py", ""),
    ] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn problems(manifest: &str) -> Vec<String> {
    let folder = pack(manifest);
    let bad = Manifest::load(folder.path()).expect_err(manifest);
    let prefix = format!("{}/", folder.path().display());
    bad.to_string().lines().map(|line| line.replace(&prefix, "")).collect()
}

#[test]
fn everything_a_manifest_can_say_is_read() {
    let folder = pack(FULL);
    let manifest = Manifest::load(folder.path()).unwrap();
    assert_eq!(manifest.pack.to_string(), "infra-devops@1.2.0");
    let dependencies: Vec<_> = manifest.depends_on.iter().map(ToString::to_string).collect();
    assert_eq!(dependencies, ["base >=1.0, <3", "other *"]);
    assert_eq!(manifest.job_types.keys().collect::<Vec<_>>(), ["infra.hook", "infra.native", "infra.test_job"]);

    let job_type = &manifest.job_types["infra.test_job"];
    let ExecutorSpec::Command(command) = &job_type.executor else { panic!("{:?}", job_type.executor) };
    assert_eq!((command.program.as_str(), command.args.len(), command.persistent), ("python3", 2, true));
    assert_eq!(command.grace, Duration::from_millis(100));
    let defaults = &job_type.defaults;
    assert_eq!(defaults.backoff, Some(Backoff { jitter: Some(0.5), ..Backoff::exponential(1000) }));
    assert_eq!(
        (defaults.timeout_ms, defaults.ttl_ms, defaults.heartbeat_timeout_ms),
        (Some(120_000), None, Some(5000))
    );
    assert_eq!((defaults.attempts, defaults.concurrency, defaults.priority.unwrap().get()), (Some(3), Some(4), 1000));
    assert_eq!(defaults.remove_on_fail, Some(Keep::All));
    let permissions = &job_type.permissions;
    assert_eq!(permissions.limits, Limits { memory_mb: 64, ..Limits::default() });
    assert_eq!(permissions.require, [Protection::Network, Protection::Syscalls]);
    assert_eq!(permissions.read[0], Path::new("/usr/share/zoneinfo"));
    assert_eq!(permissions.read[1], manifest.pack.folder.join("data"));

    let info = manifest.info();
    assert_eq!(info.job_types["infra.test_job"].input.as_ref().unwrap().as_str(), r#"{"type": "object"}"#);
    assert!(!serde_json::to_string(&info).unwrap().contains("test_job.py"), "how it runs is nobody's business");
}

#[test]
fn the_least_is_an_id_and_a_version() {
    let folder = pack("id: a\nversion: 0.1.0\n");
    assert_eq!(Manifest::load(folder.path()).unwrap().name, "a");
}

/// Bad manifests that the published schema refuses, too: what is changed in [`FULL`], and what is told.
const BAD_BY_SHAPE: [(&str, &str, &str); 22] = [
    ("id: infra-devops\n", "", "pack.yaml:1: id: is missing"),
    ("id: infra-devops", "id: Infra DevOps", "pack.yaml:1: id: "),
    ("version: 1.2.0", "version: 1.2", "pack.yaml:3: version: value is not of type \"string\" (a text"),
    ("version: 1.2.0", "version: latest", "pack.yaml:3: version: "),
    ("tags: [infra]", "tags: infra", "pack.yaml:10: tags: "),
    ("tags: [infra]", "tag: [infra]", "pack.yaml:10: tag: is not known here: use author, cap"),
    ("attempts: 3", "atempts: 3", "pack.yaml:22: job_types.infra.test_job.defaults.atempts: is not known here: use "),
    ("attempts: 3", "attempts: 0", "pack.yaml:22: job_types.infra.test_job.defaults.attempts: "),
    ("attempts: 3", "attempts: three", "pack.yaml:22: job_types.infra.test_job.defaults.attempts: "),
    ("priority: low", "priority: urgent", "pack.yaml:21: job_types.infra.test_job.defaults.priority: "),
    ("type: exponential", "type: sometimes", "pack.yaml:23: job_types.infra.test_job.defaults.backoff.type: "),
    ("queue: infra", "queue: in:fra", "pack.yaml:20: job_types.infra.test_job.defaults.queue: "),
    ("program: python3, ", "", "pack.yaml:18: job_types.infra.test_job.executor.command.program: is missing"),
    ("      rust: {}", "      rust: {}\n      http: {url: \"http://x\"}", "job_types.infra.native.executor: "),
    ("      rust: {}", "      wasm: {}", "executor.wasm: is not known here: use command, http, rust"),
    ("env: [LANG]", "env: [LA NG]", "pack.yaml:32: job_types.infra.test_job.permissions.env.0: "),
    ("connect: [443]", "connect: [0]", "permissions.connect.0: "),
    ("memory_mb: 64", "memory_mb: 64MB", "permissions.limits.memory_mb: "),
    ("[syscalls, network]", "[everything]", "permissions.require.0: "),
    ("https://example.com/jobs", "ftp://example.com", "executor.http.url: "),
    ("remove_on_fail: false", "remove_on_fail: never", "remove_on_fail: "),
    ("infra.native:", "infra native:", "pack.yaml:"),
];

/// Bad manifests that no schema can refuse.
const BAD_BY_MEANING: [(&str, &str, &str); 12] = [
    (
        "schemas/test_job.schema.json",
        "schemas/none.json",
        "pack.yaml:15: job_types.infra.test_job.input: there is no file",
    ),
    ("schemas/test_job.schema.json", "../x.json", "job_types.infra.test_job.input: `../x.json` leads out of the pack"),
    ("schemas/test_job.schema.json", "schemas/broken.schema.json", "input: is no usable schema: /type: "),
    ("schemas/test_job.schema.json", "schemas/text.schema.json", "input: schemas/text.schema.json: is not JSON: "),
    ("output: {type: object}", "output: {minimum: low}", "pack.yaml:16: job_types.infra.test_job.output: is no usable"),
    ("config_schema: {type: object}", "config_schema: {type: 1}", "pack.yaml:11: config_schema: is no usable schema"),
    ("program: python3", "program: ./run.sh", "executor.command.program: there is no file"),
    (
        "jobs/test_job.py",
        "jobs/tset_job.py",
        "pack.yaml:18: job_types.infra.test_job.executor.command.args.0: there is no",
    ),
    ("\"base >=1.0, <3\"", "base soon", "pack.yaml:8: depends_on.0: `soon` says no versions"),
    ("secrets: [KEY]", "secrets: []", "executor.http.secret: `KEY` is not permitted"),
    ("https://example.com", "https://me:pw@example.com", "executor.http.url: holds credentials"),
    ("read: [/usr/share/zoneinfo, data]", "read: [../secrets]", "permissions.read.0: `../secrets` goes up"),
];

#[test]
fn what_is_wrong_is_told_with_file_line_and_key() {
    for (good, bad, told) in BAD_BY_SHAPE.into_iter().chain(BAD_BY_MEANING) {
        assert!(FULL.contains(good), "{good}");
        let problems = problems(&FULL.replacen(good, bad, 1));
        assert!(problems.iter().any(|problem| problem.contains(told)), "{bad}: {told}\n{problems:#?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let text = FULL
        .replace("attempts: 3", "attempts: 0")
        .replace("connect: [443]", "connect: [70000]")
        .replace("name: I", "nam: I");
    let problems = problems(&text);
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems[0].contains(": nam: ") && problems[1].contains("attempts") && problems[2].contains("connect"));
    let text = FULL.replace("jobs/test_job.py", "jobs/none.py").replace("test_job.schema.json", "none.json");
    assert_eq!(self::problems(&text).len(), 2);
}

#[test]
fn what_is_no_pack_says_so() {
    let folder = TempDir::new().unwrap();
    let told = Manifest::load(folder.path()).unwrap_err().to_string();
    assert!(told.contains("pack.yaml: cannot be read"), "{told}");
    assert!(problems("id: a\nid: b\nversion: 1.0.0")[0].starts_with("pack.yaml:2: "));
    assert!(problems("- a")[0].starts_with("pack.yaml:1: "));
}

/// What the schema says alone, without a folder: as an editor asks it.
fn fits_the_schema(manifest: &str) -> bool {
    let schema = Schema::compile(&Json::parse(MANIFEST_SCHEMA).unwrap()).unwrap();
    let document: serde_json::Value = serde_saphyr::from_str(manifest).unwrap();
    schema.mismatches_of(&document).is_empty()
}

#[test]
fn the_published_schema_refuses_what_is_refused_for_its_shape_and_takes_the_rest() {
    assert!(fits_the_schema(FULL));
    for (good, bad, _) in BAD_BY_SHAPE {
        assert!(!fits_the_schema(&FULL.replacen(good, bad, 1)), "{bad}");
    }
    for (good, bad, _) in BAD_BY_MEANING {
        assert!(fits_the_schema(&FULL.replacen(good, bad, 1)), "{bad}");
    }
}

#[test]
fn the_schema_in_the_documents_is_the_one_that_is_used() {
    assert_eq!(include_str!("../../../docs/pack.schema.json"), MANIFEST_SCHEMA);
}
