//! The packs of the repository that this machine has the interpreters for, and jobs for them.

use std::path::Path;
use std::process::Command;

use operator_core::settings::vars;
use serde_json::{Value, json};

use super::services::{QUEUE, Services, setting};
use crate::failure::Result;
use crate::workspace;

/// Where the sandbox of a worker looks for programs.
const PLACES: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];

/// The ports that the infrastructure pack may connect to.
const PORTS: [&str; 2] = [":8080", ":9090"];

/// What the example packs need.
const NEEDED: [(&str, &[&str]); 2] = [("infra-devops", &["python3"]), ("hello", &["python3", "node"])];

/// The packs of a run.
pub(super) struct Packs {
    names: Vec<&'static str>,
    /// Whether the user has chosen others.
    is_users: bool,
}

impl Packs {
    /// Those that can be run here: none where programs cannot be confined, and none beside the user's own.
    pub(super) fn find() -> Result<Self> {
        let is_users = setting(&vars::OPERATOR_PACKS)?.is_some();
        let is_usual = cfg!(target_os = "linux") && !is_users;
        let is_there = |program: &&str| PLACES.iter().any(|place| Path::new(place).join(program).is_file());
        let can_run = |(_, programs): &&(&str, &[&str])| is_usual && programs.iter().all(&is_there);
        Ok(Self { names: NEEDED.iter().filter(can_run).map(|(name, _)| *name).collect(), is_users })
    }

    /// Lets `worker` run them, and nothing else that lies where it starts; `services` are those that it looks after.
    pub(super) fn give_to(&self, worker: &mut Command, services: &[String], elsewhere: &Path) {
        if self.is_users {
            return;
        }
        if self.names.is_empty() {
            worker.current_dir(elsewhere);
            return;
        }
        let folder = |name: &&str| workspace::root().join("packs").join(name).display().to_string();
        let folders: Vec<String> = self.names.iter().map(folder).collect();
        let health: Vec<String> = services.iter().map(|url| format!("{url}/health")).collect();
        worker.env(vars::OPERATOR_PACKS.name, folders.join(","));
        worker.env("INFRA_SERVICES", json!({"operator": {"local": health}}).to_string());
    }

    /// Jobs for them. What is to be looked after must be where the pack may look.
    pub(super) fn jobs(&self, services: &Services) -> Vec<Value> {
        let has = |name: &str| self.names.contains(&name);
        let is_reachable = services.dispatcher.ends_with(PORTS[0]) && services.workers[0].ends_with(PORTS[1]);
        let mut jobs = Vec::new();
        if has("hello") {
            jobs.extend(["hello.python", "hello.node"].map(|name| job(name, json!({"name": "Ada"}))));
            jobs.push(job("hello.shell", json!({})));
            jobs.extend(["hello.echo_python", "hello.echo_node"].map(|name| job(name, json!({"from": name}))));
        }
        if has("infra-devops") {
            jobs.push(job("infra.test_job", json!({"sleep_seconds": 0.5})));
        }
        if has("infra-devops") && is_reachable {
            jobs.push(job("infra.run_smoke_tests", json!({"service_id": "operator", "environment": "local"})));
            jobs.push(job("infra.daily_health_sweep", json!({"environment": "local", "detailed": true})));
        }
        jobs
    }
}

fn job(name: &str, data: Value) -> Value {
    json!({"queue": QUEUE, "name": name, "data": data, "opts": {}})
}
