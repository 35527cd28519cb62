//! `cargo xtask bench`: provides Redis, Node and the peers, and runs the bench in release mode with the same arguments.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Result;
use crate::program;
use crate::provide::{self, Need};
use crate::workspace::{cargo, root};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Passed to the bench: `--quick`, `--json`, `--aof everysec`, `--only`, `--peers`, `--rounds`; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let found = provide::provide(&[Need::Redis, Need::Node])?;
    provide::npm_packages()?;
    let path = program::path_with(&found);
    let peers = root().join("bench/peers");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("peers");
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(peers.join("Cargo.toml"));
    program::run(build.arg("--target-dir").arg(&target))?;
    let mut bench = cargo();
    bench.args(["run", "--release", "--quiet", "-p", "operator-bench", "--"]).args(&options.arguments);
    program::run(bench.env("PATH", path).env("OPERATOR_BENCH_PEERS", target.join("release")))
}
