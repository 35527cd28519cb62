//! A manifest as it is written, snake_case, before anything beyond its shape was checked. `pack.schema.json` says the
//! same to everybody else.

use std::collections::BTreeMap;

use operator_core::pack::{Defaults, Protection};
use operator_core::{Backoff, BackoffKind, Keep, Priority, QueueName};
use serde::Deserialize;
use serde_json::Value;

use super::Limits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    pub(super) id: String,
    pub(super) version: semver::Version,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) author: String,
    #[serde(default)]
    pub(super) license: String,
    #[serde(default)]
    pub(super) required_roles: Vec<String>,
    #[serde(default)]
    pub(super) depends_on: Vec<String>,
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    pub(super) config_schema: Option<Value>,
    #[serde(default)]
    pub(super) job_types: BTreeMap<String, RawJobType>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJobType {
    #[serde(default)]
    pub(super) description: String,
    pub(super) input: Option<Value>,
    pub(super) output: Option<Value>,
    pub(super) executor: RawExecutor,
    #[serde(default)]
    pub(super) defaults: RawDefaults,
    #[serde(default)]
    pub(super) permissions: RawPermissions,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawExecutor {
    Command(RawCommand),
    Http(RawHttp),
    Rust(RawRust),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCommand {
    pub(super) program: String,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) persistent: bool,
    #[serde(default = "grace_ms")]
    pub(super) grace_ms: u64,
    #[serde(default = "idle_ms")]
    pub(super) idle_ms: u64,
    #[serde(default = "max_jobs")]
    pub(super) max_jobs: u64,
}

/// Long enough for a queue that is busy now and then, short enough that memory comes back.
fn idle_ms() -> u64 {
    60_000
}

/// Now and then, for programs that lose a little memory with each job.
fn max_jobs() -> u64 {
    100_000
}

/// Long enough to write down what was reached, short of a platform's own patience.
fn grace_ms() -> u64 {
    5000
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) allow_private: bool,
    #[serde(default)]
    pub(super) callback: bool,
    #[serde(default = "callback_within_ms")]
    pub(super) callback_within_ms: u64,
    #[serde(default = "max_response_bytes")]
    pub(super) max_response_bytes: u64,
}

/// An hour.
fn callback_within_ms() -> u64 {
    3_600_000
}

fn max_response_bytes() -> u64 {
    1024 * 1024
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRust {}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDefaults {
    queue: Option<QueueName>,
    priority: Option<Priority>,
    attempts: Option<u32>,
    backoff: Option<RawBackoff>,
    #[serde(default)]
    not_retried: Vec<String>,
    timeout_ms: Option<u64>,
    ttl_ms: Option<u64>,
    heartbeat_timeout_ms: Option<u64>,
    remove_on_complete: Option<Keep>,
    remove_on_fail: Option<Keep>,
    concurrency: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBackoff {
    r#type: String,
    #[serde(default)]
    delay_ms: u64,
    jitter: Option<f64>,
}

impl From<RawDefaults> for Defaults {
    fn from(raw: RawDefaults) -> Self {
        let limit = |ms: Option<u64>| ms.filter(|ms| *ms > 0);
        Self {
            queue: raw.queue,
            priority: raw.priority,
            attempts: raw.attempts,
            backoff: raw.backoff.map(|raw| Backoff {
                kind: BackoffKind::named(&raw.r#type),
                delay_ms: raw.delay_ms,
                jitter: raw.jitter,
            }),
            not_retried: raw.not_retried,
            timeout_ms: limit(raw.timeout_ms),
            ttl_ms: limit(raw.ttl_ms),
            heartbeat_timeout_ms: limit(raw.heartbeat_timeout_ms),
            remove_on_complete: raw.remove_on_complete,
            remove_on_fail: raw.remove_on_fail,
            concurrency: raw.concurrency,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPermissions {
    pub(super) env: Vec<String>,
    pub(super) secrets: Vec<String>,
    pub(super) read: Vec<String>,
    pub(super) write: Vec<String>,
    pub(super) connect: Vec<u16>,
    pub(super) bind: Vec<u16>,
    pub(super) limits: Limits,
    pub(super) require: Vec<Protection>,
}
