//! Puts the jobs on their queue: with BullMQ in Node, as any application would, or with our own command.

use std::process::Command;

use operator_core::settings::vars;
use serde_json::Value;

use super::interrupt::Interrupt;
use super::services::{Programs, QUEUE, setting};
use super::stack::Stack;
use crate::failure::Result;
use crate::program;
use crate::provide;
use crate::workspace;

/// A program that reads jobs, one a line, and adds them.
pub(super) struct Producer {
    command: Command,
}

impl Producer {
    /// BullMQ in Node where it can run, our own command otherwise.
    pub(super) fn choose(programs: &Programs, redis_url: &str) -> Result<Self> {
        let command = match provide::node_ready() {
            Ok(()) => bullmq(redis_url)?,
            Err(failure) => {
                println!("   BullMQ in Node is not at hand ({failure}); our own command adds the jobs");
                operator(programs, redis_url)
            }
        };
        Ok(Self { command })
    }

    /// Adds the jobs.
    pub(super) fn add(mut self, jobs: &[Value], stack: &mut Stack, interrupt: &Interrupt) -> Result<()> {
        println!("Adding {} jobs: {}", jobs.len(), program::line(&self.command));
        let lines: String = jobs.iter().map(|job| format!("{job}\n")).collect();
        stack.run(&mut self.command, &lines, interrupt).map(drop)
    }
}

fn bullmq(redis_url: &str) -> Result<Command> {
    let mut command = Command::new("node");
    command.arg("interop/producer.mjs").current_dir(workspace::root()).env("REDIS_URL", redis_url);
    if let Some(prefix) = setting(&vars::OPERATOR_PREFIX)? {
        command.env("PREFIX", prefix);
    }
    Ok(command)
}

fn operator(programs: &Programs, redis_url: &str) -> Command {
    let mut command = Command::new(&programs.cli);
    command.args(["enqueue", QUEUE, "--stdin"]).env(vars::REDIS_URL.name, redis_url);
    command
}
