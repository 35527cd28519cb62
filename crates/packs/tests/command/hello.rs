//! The example pack: what the documents show does what they say.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use operator_core::{Failure, FailureKind, Json};
use operator_packs::command::Command;
use operator_packs::manifest::Manifest;
use operator_packs::sandbox::{Sandbox, SandboxSettings};
use operator_packs::secrets::Secrets;
use operator_packs::{Executor, Rehearsal};
use serde_json::{Value, json};

struct Hello {
    manifest: Manifest,
    sandbox: Sandbox,
}

impl Hello {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/hello");
        let manifest = Manifest::load(&folder).unwrap();
        Self { manifest, sandbox: Sandbox::new(SandboxSettings::default()).unwrap() }
    }

    fn command(&self, name: &str) -> Command {
        let secrets = Secrets::new(Arc::new(HashMap::new()), None);
        Command::of(&self.sandbox, &secrets, &self.manifest.job_types[name]).unwrap().unwrap()
    }

    async fn run(&self, name: &str, data: Value) -> (Result<Json, Failure>, Rehearsal) {
        let rehearsal = Rehearsal::of(name, data);
        let result = self.command(name).execute(rehearsal.context()).await;
        (result, rehearsal)
    }
}

#[tokio::test]
async fn somebody_is_greeted_in_python_and_in_node() {
    let hello = Hello::new();
    for name in ["hello.python", "hello.node"] {
        let (result, rehearsal) = hello.run(name, json!({"name": "Ada"})).await;
        assert_eq!(result.unwrap().decode::<Value>().unwrap(), json!({"greeting": "Hello, Ada!"}));
        assert_eq!(rehearsal.logs(), ["attempt 1 of 1"]);
        let progress: Vec<_> = rehearsal.progress().iter().map(|json| json.as_str().to_owned()).collect();
        assert_eq!(progress, ["0", "50", "100"]);
        let failure = hello.run(name, json!({"name": "nobody"})).await.0.unwrap_err();
        assert_eq!((failure.message.as_str(), failure.kind), ("there is nobody to greet", FailureKind::Unrecoverable));
    }
}

#[tokio::test]
async fn a_shell_script_looks_at_its_pack() {
    let (result, rehearsal) = Hello::new().run("hello.shell", json!(null)).await;
    let result: Value = result.unwrap().decode().unwrap();
    assert!(result["bytes"].as_u64().unwrap() > 1000, "{result}");
    assert!(rehearsal.logs()[0].ends_with("packs/hello/jobs"), "{:?}", rehearsal.logs());
}

#[tokio::test]
async fn one_process_echoes_many_jobs() {
    let hello = Hello::new();
    for name in ["hello.echo_python", "hello.echo_node"] {
        let command = hello.command(name);
        for data in [json!({"n": [1, "a\u{2028}b\u{e9}\n"]}), json!(null), json!("x".repeat(100_000)), json!(7)] {
            let result = command.execute(Rehearsal::of(name, data.clone()).context()).await;
            assert_eq!(result.unwrap().decode::<Value>().unwrap(), data, "{name}");
        }
    }
}

#[test]
fn every_program_is_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/hello/jobs");
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert!(text.lines().count() < 40, "{}", entry.path().display());
    }
}
