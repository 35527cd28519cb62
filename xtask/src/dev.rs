//! `cargo xtask dev`: everything on this machine, doing real work, with one command.
//!
//! The order is here, the parts have a module each: a Redis, the services, the jobs, their progress, the report.
//! Whatever way this ends, no process of it stays behind.

mod child;
mod endpoints;
mod folder;
mod follow;
mod guardian;
mod http;
mod interrupt;
mod jobs;
mod packs;
mod port;
mod producer;
mod redis;
mod report;
mod services;
mod stack;
mod task;

use std::thread;
use std::time::Duration;

use clap::Args;

use crate::failure::{Failure, Result};
use folder::Folder;
use follow::Watch;
use interrupt::Interrupt;
use packs::Packs;
use producer::Producer;
use stack::Stack;

/// How often something that is awaited is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct Options {
    /// Stop when the jobs have finished; the exit code says whether all completed
    #[arg(long)]
    once: bool,
    /// Go on with the queues and results of the last run instead of starting empty
    #[arg(long)]
    keep_data: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let interrupt = Interrupt::install()?;
    let folder = Folder::open(options.keep_data)?;
    let mut stack = Stack::new()?;
    let result = work(options, &interrupt, &folder, &mut stack);
    if result.as_ref().is_err_and(|failure| !matches!(failure, Failure::Interrupted)) {
        stack.log_tails().iter().for_each(|tail| println!("{tail}"));
    }
    stack.stop();
    match result {
        Err(Failure::Interrupted) if !options.once => Ok(()),
        other => other,
    }
}

fn work(options: &Options, interrupt: &Interrupt, folder: &Folder, stack: &mut Stack) -> Result<()> {
    let programs = services::build(stack, interrupt)?;
    let redis_url = redis::provide(stack, folder, interrupt)?;
    let packs = Packs::find()?;
    let services = services::start(stack, folder, &programs, &packs, &redis_url, interrupt)?;
    let jobs = [packs.jobs(&services), jobs::make(&services)?].concat();
    let producer = Producer::choose(&programs, &redis_url)?;
    let watch = Watch::begin(&services, jobs.len())?;
    producer.add(&jobs, stack, interrupt)?;
    let run = watch.until_finished(stack, interrupt)?;
    let completed = report::print(&services, &redis_url, &run, interrupt)?;
    if options.once {
        return if completed { Ok(()) } else { Err(Failure::Jobs { failed: run.failed }) };
    }
    println!("\nUp and waiting for work. Ctrl-C stops.");
    loop {
        interrupt.check()?;
        stack.check()?;
        thread::sleep(LOOK_AGAIN);
    }
}
