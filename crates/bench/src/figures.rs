//! What a stretch of work cost: Redis' own figures before and after, and those of the peer's process.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use operator_testkit::RedisClient;
use serde::Serialize;

use crate::peers::{Peer, Running};

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
    /// Microseconds of the peer's processes per job.
    pub(crate) peer_us_per_job: f64,
    /// Bytes that Redis received and sent per job.
    pub(crate) wire_bytes_per_job: f64,
    /// Resident memory of the peer's processes at the end, in MiB.
    pub(crate) peer_mib: f64,
    /// Memory of Redis per job that waits, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redis_bytes_per_job: Option<u64>,
    /// Wait from the add to the start of the job in microseconds, median and 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wait_us: Option<(u64, u64)>,
    /// How often each command was called per job.
    pub(crate) calls: BTreeMap<String, f64>,
}

/// Where things stood when a measurement began.
pub(crate) struct Mark<'a> {
    redis: &'a RedisClient,
    peer: Peer,
    processes: Vec<u32>,
    redis_cpu: f64,
    peer_cpu: Duration,
    at: Instant,
}

impl<'a> Mark<'a> {
    /// Notes where things stand, and has Redis count commands and bytes from zero.
    pub(crate) async fn set(redis: &'a RedisClient, team: &[Running]) -> Self {
        let processes: Vec<u32> = team.iter().map(Running::id).collect();
        redis.reset_stats().await;
        let redis_cpu = main_thread_seconds(redis).await;
        let peer_cpu = processes.iter().map(|process| cpu_of(*process)).sum();
        Self { redis, peer: team[0].peer, processes, redis_cpu, peer_cpu, at: Instant::now() }
    }

    /// What `jobs` jobs have cost since.
    pub(crate) async fn figures(&self, jobs: usize) -> Figures {
        let took = self.at.elapsed();
        let per_job = |total: f64| total / jobs.max(1) as f64;
        let peer_cpu: Duration = self.processes.iter().map(|process| cpu_of(*process)).sum();
        let peer_cpu = peer_cpu.saturating_sub(self.peer_cpu);
        let redis_cpu = main_thread_seconds(self.redis).await - self.redis_cpu;
        let wire_bytes = wire_bytes(self.redis).await;
        let calls = self.redis.command_stats().await.into_iter().filter(|(name, _)| self.peer.is_counted(name));
        let calls: BTreeMap<String, f64> = calls.map(|(name, calls)| (name, per_job(calls as f64))).collect();
        Figures {
            jobs_per_second: jobs as f64 / took.as_secs_f64(),
            commands_per_job: calls.values().sum(),
            redis_us_per_job: per_job(redis_cpu * 1e6),
            peer_us_per_job: per_job(peer_cpu.as_secs_f64() * 1e6),
            wire_bytes_per_job: per_job(wire_bytes as f64),
            peer_mib: self.processes.iter().map(|process| resident_mib(*process)).sum(),
            redis_bytes_per_job: None,
            wait_us: None,
            calls,
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
