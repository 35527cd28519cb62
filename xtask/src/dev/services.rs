//! The services of a run: built in release mode, started, and waited for until they are ready.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use operator_core::settings::{Reader, Source, Var, vars};
use serde_json::Value;

use super::child::wait_for;
use super::folder::Folder;
use super::http;
use super::interrupt::Interrupt;
use super::packs::Packs;
use super::port;
use super::stack::Stack;
use crate::failure::{Failure, Result};
use crate::workspace::cargo;

/// The queue that the example jobs go through.
pub(super) const QUEUE: &str = "default";

/// Far above what a service takes to start, also on a machine that is busy.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Where the built programs are.
pub(super) struct Programs {
    dispatcher: PathBuf,
    worker: PathBuf,
    pub(super) cli: PathBuf,
}

/// The running services.
pub(super) struct Services {
    /// The base URL of the dispatcher.
    pub(super) dispatcher: String,
    /// The base URL of each worker's health server.
    pub(super) workers: Vec<String>,
    /// Where results are kept, as a person would look for it.
    pub(super) database: String,
}

/// The environment of this process, as the services will read it.
struct Environment;

impl Source for Environment {
    fn get(&self, name: &str) -> std::result::Result<Option<String>, String> {
        if let Ok(value) = env::var(name)
            && !value.trim().is_empty()
        {
            return Ok(Some(value));
        }
        let Ok(path) = env::var(format!("{name}_FILE")) else { return Ok(None) };
        fs::read_to_string(&path).map(Some).map_err(|error| format!("{path}: {error}"))
    }
}

/// What the user has set `var` to.
pub(super) fn setting(var: &'static Var) -> Result<Option<String>> {
    let mut reader = Reader::new(&Environment);
    let value = reader.text(var);
    reader.finish().map_err(|error| Failure::answer(var.name, error))?;
    Ok(value)
}

/// Builds the programs in release mode.
pub(super) fn build(stack: &mut Stack, interrupt: &Interrupt) -> Result<Programs> {
    println!("Building in release mode. The first time takes minutes, later ones seconds.");
    let mut command = cargo();
    command.args(["build", "--release", "--bins", "--message-format", "json-render-diagnostics"]);
    command.args(["-p", "operator-dispatcher", "-p", "operator-worker", "-p", "operator-cli"]);
    let messages = stack.run(&mut command, "", interrupt)?;
    let built = |name: &str| {
        executable(&messages, name).ok_or_else(|| Failure::answer("cargo build", format!("it made no {name}")))
    };
    Ok(Programs {
        dispatcher: built("operator-dispatcher")?,
        worker: built("operator-worker")?,
        cli: built("operator")?,
    })
}

fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = messages.filter(|message| message["target"]["name"] == name);
    built.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Starts a dispatcher and two workers, and waits until they can work.
pub(super) fn start(
    stack: &mut Stack,
    folder: &Folder,
    programs: &Programs,
    packs: &Packs,
    redis_url: &str,
    interrupt: &Interrupt,
) -> Result<Services> {
    let (database_url, database) = database(folder)?;
    let logs = folder.logs();
    let command = |program: &PathBuf| {
        let mut command = Command::new(program);
        command.env(vars::REDIS_URL.name, redis_url).env(vars::DATABASE_URL.name, &database_url);
        adapt(&mut command)?;
        Ok::<_, Failure>(command)
    };

    let dispatcher_port = port::usual_or_free("the dispatcher", number(&vars::PORT, 8080)?)?;
    let mut dispatcher = command(&programs.dispatcher)?;
    stack.start_service("dispatcher", dispatcher.env(vars::PORT.name, dispatcher_port.to_string()), &logs)?;

    let first_health_port = number(&vars::HEALTH_PORT, 9090)?;
    let mut workers = Vec::new();
    for index in 0..2 {
        let name = format!("worker-{}", index + 1);
        let port = port::usual_or_free(&name, first_health_port.saturating_add(index))?;
        let mut worker = command(&programs.worker)?;
        worker.env(vars::HEALTH_PORT.name, port.to_string()).env(vars::OPERATOR_WORKER_NAME.name, &name);
        packs.give_to(&mut worker, &[base_url(dispatcher_port), base_url(first_health_port)], &logs);
        stack.start_service(&name, worker.env(vars::QUEUE_NAME.name, QUEUE), &logs)?;
        workers.push(base_url(port));
    }

    let services = Services { dispatcher: base_url(dispatcher_port), workers, database };
    services.wait_until_ready(stack, interrupt)?;
    Ok(services)
}

/// What all services of a development run have in common.
fn adapt(command: &mut Command) -> Result<()> {
    // People read these logs. The services call each other on this machine, past any proxy, without a key.
    command.env(vars::OPERATOR_LOG_FORMAT.name, "text").env("NO_PROXY", "localhost,127.0.0.1,::1");
    let key = vars::OPERATOR_API_KEY.name;
    command.env_remove(key).env_remove(format!("{key}_FILE"));
    // Without a key nobody else may reach them, unless the user says so.
    if setting(&vars::OPERATOR_BIND)?.is_none() {
        command.env(vars::OPERATOR_BIND.name, "127.0.0.1");
    }
    Ok(())
}

fn database(folder: &Folder) -> Result<(String, String)> {
    if let Some(url) = setting(&vars::DATABASE_URL)? {
        return Ok((url, format!("the one in {}", vars::DATABASE_URL.name)));
    }
    let path = folder.database().display().to_string();
    Ok((format!("sqlite://{path}"), path))
}

fn number(var: &'static Var, default: u16) -> Result<u16> {
    let mut reader = Reader::new(&Environment);
    let number = reader.number(var, default, 1..=u16::MAX);
    reader.finish().map_err(|error| Failure::answer(var.name, error))?;
    Ok(number)
}

fn base_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Services {
    fn wait_until_ready(&self, stack: &mut Stack, interrupt: &Interrupt) -> Result<()> {
        for url in std::iter::once(&self.dispatcher).chain(&self.workers) {
            let url = format!("{url}/ready");
            let ready = wait_for(READY_LIMIT, || {
                interrupt.check()?;
                stack.check()?;
                Ok((http::status(&url) == Some(200)).then_some(()))
            })?;
            ready.ok_or_else(|| Failure::NotReady { name: url.clone(), seconds: READY_LIMIT.as_secs() })?;
            println!("   ready: {url}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_program_is_read_from_cargos_messages() {
        let messages = "{\"target\":{\"name\":\"operator\"},\"executable\":null}\n\
            {\"target\":{\"name\":\"operator\"},\"executable\":\"/x/operator\"}\nnot json\n";
        assert_eq!(executable(messages, "operator"), Some(PathBuf::from("/x/operator")));
        assert_eq!(executable(messages, "operator-worker"), None);
    }
}
