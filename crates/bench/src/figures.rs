//! What a stretch of work cost: Redis' own figures before and after, and those of the peer's process.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use operator_testkit::RedisClient;
use serde::Serialize;

/// Commands that the bench sends itself while it measures; no peer uses them.
const OWN_COMMANDS: [&str; 4] = ["zlexcount", "info", "config", "memory"];

/// What one run of a workload came to.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// Jobs a second.
    pub(crate) jobs_per_second: f64,
    /// Redis commands per job, those inside scripts included.
    pub(crate) commands_per_job: f64,
    /// Microseconds of Redis' main thread per job.
    pub(crate) redis_us_per_job: f64,
    /// Microseconds of the peer's process per job.
    pub(crate) peer_us_per_job: f64,
    /// Bytes that Redis received and sent per job.
    pub(crate) wire_bytes_per_job: f64,
    /// Resident memory of the peer's process at the end, in MiB.
    pub(crate) peer_mib: f64,
    /// Wait from the add to the start of the job in microseconds, median and 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wait_us: Option<(u64, u64)>,
}

/// Figures at one moment.
pub(crate) struct Mark {
    at: Instant,
    redis_cpu: f64,
    peer_cpu: Duration,
    wire_bytes: u64,
}

impl Mark {
    /// Notes where things stand, and has Redis count commands from zero.
    pub(crate) async fn set(redis: &RedisClient, peer: u32) -> Self {
        redis.call(&["CONFIG", "RESETSTAT"]).await.ok();
        Self { redis_cpu: main_thread_seconds(redis).await, peer_cpu: cpu_of(peer), wire_bytes: 0, at: Instant::now() }
    }

    /// What `jobs` jobs have cost since.
    pub(crate) async fn figures(&self, redis: &RedisClient, peer: u32, jobs: usize) -> Figures {
        let took = self.at.elapsed();
        let per_job = |total: f64| total / jobs.max(1) as f64;
        let redis_cpu = main_thread_seconds(redis).await - self.redis_cpu;
        let peer_cpu = cpu_of(peer).saturating_sub(self.peer_cpu);
        Figures {
            jobs_per_second: jobs as f64 / took.as_secs_f64(),
            commands_per_job: per_job(commands(redis).await as f64),
            redis_us_per_job: per_job(redis_cpu * 1e6),
            peer_us_per_job: per_job(peer_cpu.as_secs_f64() * 1e6),
            wire_bytes_per_job: per_job((wire_bytes(redis).await - self.wire_bytes) as f64),
            peer_mib: resident_mib(peer),
            wait_us: None,
        }
    }
}

async fn main_thread_seconds(redis: &RedisClient) -> f64 {
    let cpu = redis.info("cpu").await;
    let seconds = |name: &str| cpu.get(name).and_then(|text| text.parse::<f64>().ok());
    let main = seconds("used_cpu_sys_main_thread").zip(seconds("used_cpu_user_main_thread"));
    let (system, user) = main.unwrap_or_else(|| (seconds("used_cpu_sys").unwrap(), seconds("used_cpu_user").unwrap()));
    system + user
}

async fn commands(redis: &RedisClient) -> u64 {
    let calls: BTreeMap<String, u64> = redis.command_stats().await;
    let is_own = |name: &str| OWN_COMMANDS.iter().any(|own| name.starts_with(own));
    calls.iter().filter(|(name, _)| !is_own(name)).map(|(_, calls)| calls).sum()
}

async fn wire_bytes(redis: &RedisClient) -> u64 {
    let stats = redis.info("stats").await;
    let bytes = |name: &str| stats.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    bytes("total_net_input_bytes") + bytes("total_net_output_bytes")
}

/// User and system time of a process, in the kernel's ticks of 10 ms.
fn cpu_of(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
