#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "its tables and JSON are what it is for")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has nothing to report")]

mod about;
mod far;
mod figures;
mod ours;
mod peers;
mod report;
mod targets;
mod workload;

mod contest;

use std::process::ExitCode;

use clap::Parser;

/// Measures Operator's queue beside its peers, in turn, on one private Redis.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// The workloads that targets are stated for, with few rounds: under five minutes
    #[arg(long)]
    quick: bool,
    /// Also how costs grow with the backlog and with what is active: takes long
    #[arg(long)]
    full: bool,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Redis' append-only file: no, everysec or always
    #[arg(long, default_value = "no", value_parser = ["no", "everysec", "always"])]
    aof: String,
    /// How often each workload is run with each peer, interleaved
    #[arg(long)]
    rounds: Option<usize>,
    /// Only the workload of this name, or those whose names contain it; several with semicolons
    #[arg(long, value_delimiter = ';')]
    only: Option<Vec<String>>,
    /// Only these peers
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Where the peers' programs are
    #[arg(long, env = "OPERATOR_BENCH_PEERS")]
    peer_programs: Option<std::path::PathBuf>,
    /// Be the peer that is ours, at this Redis
    #[arg(long, hide = true)]
    serve: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match &arguments.serve {
        Some(redis_url) => {
            runtime.block_on(ours::serve(redis_url));
            ExitCode::SUCCESS
        }
        None => runtime.block_on(contest::run(&arguments)),
    }
}
