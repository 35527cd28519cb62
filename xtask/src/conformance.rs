//! `cargo xtask conformance`: provides what the comparison with BullMQ needs and runs it; `docs/conformance.md` tells
//! the rest.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Result;
use crate::program;
use crate::provide::{self, Need};
use crate::workspace::cargo;

#[derive(Args)]
pub(crate) struct Options {
    /// Builds with optimisations first: for long runs
    #[arg(long)]
    release: bool,
    /// Passed on; `--help` after `--` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let needs = [Need::Redis, Need::Node];
    // The output may be read by a program: what is there already is not told. The testkit puts npm's packages in place.
    let found: Vec<PathBuf> = match needs.into_iter().map(Need::find).collect() {
        Some(found) => found,
        None => provide::provide(&needs)?,
    };
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "operator-conformance"]).env("PATH", program::path_with(&found));
    if options.release {
        command.arg("--release");
    }
    program::run(command.arg("--").args(&options.arguments))
}
