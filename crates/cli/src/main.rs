#![doc = include_str!("../README.md")]

mod arguments;
mod run;

mod change;
mod enqueue;
mod flow;
mod health;
mod inspect;
mod limits;
mod many;
mod pack;
mod schedulers;

mod failure;
mod output;
mod view;

use clap::Parser;
use operator_telemetry::Exit;

use arguments::Arguments;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "a command tells the person who typed it why it failed")]
async fn main() -> Exit {
    match run::run(Arguments::parse()).await {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            if !failure.is_closed_pipe() {
                eprintln!("operator: {failure}");
            }
            failure.exit()
        }
    }
}
