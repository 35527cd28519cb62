//! Where and with what a run was made, so that a table can be judged without its author.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use operator_testkit::RedisClient;
use serde::Serialize;

use crate::Arguments;

/// The circumstances of a run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    at: String,
    commit: String,
    arguments: String,
    redis: String,
    append_only: String,
    processor: String,
    cores: usize,
    /// Runnable tasks of the machine, averaged over its last minute, when the run ended: more than the cores means that
    /// others disturbed it.
    load: String,
    rounds: usize,
    /// Jobs a second of the latency workload.
    steady_rate: f64,
    peers: Vec<String>,
}

impl About {
    pub(crate) async fn of(redis: &RedisClient, arguments: &Arguments, rounds: usize, steady_rate: f64) -> Self {
        let server = redis.info("server").await;
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            at: output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: output("git", &["describe", "--always", "--dirty"]),
            arguments: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            redis: server.get("redis_version").cloned().unwrap_or_default(),
            append_only: arguments.aof.clone(),
            processor: processor.trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            rounds,
            steady_rate,
            peers: peers(),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, commit, arguments, redis, append_only, processor, cores, load, rounds, steady_rate, peers } =
            self;
        writeln!(f, "{at}, commit {commit}, `cargo xtask bench {arguments}`")?;
        writeln!(f, "redis {redis} (appendonly {append_only}), {cores} cores of {processor}, load {load} at the end")?;
        writeln!(f, "beside {}", peers.join(", "))?;
        write!(f, "{rounds} rounds; medians, ± is half the spread; latency at {steady_rate:.0} jobs/s")
    }
}

/// Names and versions, as the lock file and the package say them.
fn peers() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let package: serde_json::Value =
        serde_json::from_str(&text("interop/node_modules/bullmq/package.json")).unwrap_or_default();
    let node = output("node", &["--version"]);
    let lock = text("bench/peers/Cargo.lock");
    let locked = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    let bullmq = format!("bullmq {} (node {node})", package["version"].as_str().unwrap_or_default());
    std::iter::once(bullmq).chain(["bullmq-official", "apalis-redis"].into_iter().filter_map(locked)).collect()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
