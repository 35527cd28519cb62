//! The example pack `infra-devops`: what it provides, and what its jobs do on this machine.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as expected")]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use operator_core::{Failure, FailureKind, Json};
use operator_packs::manifest::Manifest;
use operator_packs::provide::{Equipment, provide};
use operator_packs::sandbox::{Sandbox, SandboxSettings};
use operator_packs::secrets::Secrets;
use operator_packs::service::ServiceSettings;
use operator_packs::{Registry, Rehearsal};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packs/infra-devops");

/// The job types of the pack, run with these variables. `more` may permit what only a test needs.
fn registry(environment: HashMap<&'static str, &'static str>, more: impl Fn(&mut Manifest)) -> Registry {
    let mut manifest = Manifest::load(Path::new(PACK)).unwrap_or_else(|bad| panic!("{bad}"));
    more(&mut manifest);
    let equipment = Equipment {
        sandbox: Some(Sandbox::new(SandboxSettings { uids: None, ..SandboxSettings::default() }).unwrap()),
        secrets: Secrets::new(Arc::new(environment), None),
        services: ServiceSettings::default(),
    };
    let mut registry = Registry::default();
    provide(&mut registry, &manifest, &equipment).unwrap_or_else(|error| panic!("{error}"));
    registry
}

async fn run(registry: &Registry, name: &str, data: Value) -> Result<Value, Failure> {
    let result: Result<Json, Failure> = registry.execute(Rehearsal::of(name, data).context()).await;
    result.map(|result| result.decode().unwrap())
}

/// Answers every request with 200, on a port of its own.
async fn well() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        }
    });
    port
}

#[test]
fn the_nine_jobs_are_those_of_the_reference() {
    let manifest = Manifest::load(Path::new(PACK)).unwrap_or_else(|bad| panic!("{bad}"));
    let table: Vec<_> = manifest
        .job_types
        .values()
        .map(|spec| {
            let defaults = &spec.defaults;
            let retries = defaults.attempts.unwrap() - 1;
            let wait_s = defaults.backoff.as_ref().map_or(0, |backoff| backoff.delay_ms / 1000);
            (spec.name.as_str(), retries, wait_s, defaults.timeout_ms.unwrap() / 1000, defaults.priority.unwrap().get())
        })
        .collect();
    let expected = [
        ("infra.backup_snapshot", 2, 300, 7200, 10),
        ("infra.daily_health_sweep", 1, 300, 900, 100),
        ("infra.deploy_service", 2, 30, 1800, 10),
        ("infra.rollback_service", 3, 10, 900, 1),
        ("infra.rotate_logs", 2, 60, 3600, 1000),
        ("infra.run_smoke_tests", 1, 5, 600, 100),
        ("infra.scale_service", 2, 30, 600, 10),
        ("infra.test_job", 0, 0, 120, 1000),
        ("infra.update_config", 1, 10, 300, 100),
    ];
    assert_eq!(table, expected);
    assert_eq!(
        manifest.job_types["infra.deploy_service"].defaults.not_retried,
        ["validation_error", "artifact_not_found"]
    );
}

#[tokio::test]
async fn the_test_job_waits_and_ends_as_it_is_told() {
    let registry = registry(HashMap::new(), |_| {});
    let done = run(&registry, "infra.test_job", json!({"sleep_seconds": 0.05})).await.unwrap();
    assert_eq!(done, json!({"slept_seconds": 0.05}));
    let failure = run(&registry, "infra.test_job", json!({"should_fail": true})).await.unwrap_err();
    assert!(failure.message.contains("asked to fail"), "{}", failure.message);
    let failure = run(&registry, "infra.test_job", json!({"sleep_seconds": 61})).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unrecoverable);
    assert!(failure.message.contains("/sleep_seconds"), "{}", failure.message);
}

#[tokio::test]
async fn smoke_tests_and_the_sweep_ask_what_is_there() {
    let port = well().await;
    let services = json!({"api": {"local": [format!("http://127.0.0.1:{port}/health")]}, "dead": {"local": ["http://127.0.0.1:1/"]}});
    let services: &'static str = services.to_string().leak();
    let registry = registry(HashMap::from([("INFRA_SERVICES", services)]), |manifest| {
        for spec in manifest.job_types.values_mut() {
            spec.permissions.connect.extend([port, 1]);
        }
    });
    let about = |service: &str| json!({"service_id": service, "environment": "local"});
    let passed = run(&registry, "infra.run_smoke_tests", about("api")).await.unwrap();
    assert_eq!((&passed["passed"], &passed["checks"][0]["status"]), (&json!(1), &json!(200)));
    let failure = run(&registry, "infra.run_smoke_tests", about("dead")).await.unwrap_err();
    assert!(failure.message.contains("1 of 1 checks failed"), "{}", failure.message);
    assert_eq!(failure.kind, FailureKind::Retryable);
    let failure = run(&registry, "infra.run_smoke_tests", about("none")).await.unwrap_err();
    assert!(failure.message.contains("INFRA_SERVICES") && failure.kind == FailureKind::Unrecoverable);

    let sweep = run(&registry, "infra.daily_health_sweep", json!({"detailed": true})).await.unwrap();
    assert_eq!((&sweep["status"], &sweep["checked"]), (&json!("degraded"), &json!(2)));
    assert!(sweep["machine"]["memory_used"].as_f64().unwrap() > 0.0);
    assert_eq!(sweep["checks"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn logs_are_compressed_and_old_ones_removed() {
    let logs = tempfile::tempdir().unwrap();
    let folder = logs.path().join("api");
    fs::create_dir(&folder).unwrap();
    for path in [logs.path(), &folder] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let day = std::time::Duration::from_secs(86_400);
    for (name, age) in [("old.log", 40), ("closed.log", 2), ("open.log", 0)] {
        let file = fs::File::create(folder.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - day * age).unwrap();
    }
    let path: &'static str = logs.path().to_str().unwrap().to_owned().leak();
    let registry = registry(HashMap::from([("INFRA_LOG_DIR", path)]), |manifest| {
        let permissions = &mut manifest.job_types.get_mut("infra.rotate_logs").unwrap().permissions;
        permissions.write = vec![path.into()];
    });
    let done = run(&registry, "infra.rotate_logs", json!({"service_id": "api"})).await.unwrap();
    assert_eq!((&done["compressed"], &done["removed"]), (&json!(1), &json!(1)));
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["closed.log.gz", "open.log"]);
    let failure = run(&registry, "infra.rotate_logs", json!({"service_id": "none"})).await.unwrap_err();
    assert!(failure.message.contains("INFRA_LOG_DIR"), "{}", failure.message);
}

#[tokio::test]
async fn what_needs_a_deployment_target_says_so_for_good() {
    let without = registry(HashMap::new(), |_| {});
    let local = json!({"service_id": "api", "environment": "local"});
    let with = |more: Value| {
        let mut data = local.clone();
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    for (name, data) in [
        ("infra.deploy_service", with(json!({"artifact_id": "a"}))),
        ("infra.rollback_service", with(json!({"reason": "r"}))),
        ("infra.backup_snapshot", json!({"backup_type": "full", "environment": "local"})),
        ("infra.scale_service", with(json!({"target_instance_count": 3}))),
        ("infra.update_config", with(json!({"config_key": "k", "config_value": 1}))),
    ] {
        let failure = run(&without, name, data).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unrecoverable, "{name}: {}", failure.message);
        assert!(failure.message.contains("INFRA_HOOK_URL"), "{name}: {}", failure.message);
        let failure = run(&without, name, json!({"environment": "moon"})).await.unwrap_err();
        assert!(failure.message.contains("does not fit"), "{name}: {}", failure.message);
    }
}
