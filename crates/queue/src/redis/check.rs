//! What a server must be before queues are entrusted to it.

use super::{Redis, RedisError, ServerHandle};

/// `LPOS`, `ZADD GT`, `SET KEEPTTL`, `RPOP` with a count and `XADD NOMKSTREAM` came with it.
const NEEDED: &str = "6.2.0";

/// Checks every server: the one, or those of the cluster.
pub(super) async fn servers(redis: &Redis) -> Result<(), RedisError> {
    for handle in redis.servers() {
        server(redis, &handle).await?;
    }
    Ok(())
}

/// Checks kind, version, eviction and persistence. What the server does not let us see (managed services hide `CONFIG`)
/// is read from `INFO` instead.
async fn server(redis: &Redis, handle: &ServerHandle) -> Result<(), RedisError> {
    let mut info = String::new();
    for section in ["server", "memory", "persistence"] {
        info.push_str(&handle.command("INFO", vec![section.into()]).await?.text().unwrap_or_default());
    }
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    };
    check_mode(redis, field("redis_mode").as_deref())?;
    // Valkey answers with the version of the Redis it is compatible with, and its own beside it.
    let version = field("redis_version").unwrap_or_default();
    if parts(&version) < parts(NEEDED) {
        return Err(RedisError::TooOld { version, needed: NEEDED });
    }
    let policy = field("maxmemory_policy").unwrap_or_else(|| "noeviction".to_owned());
    if policy != "noeviction" {
        return Err(RedisError::Evicts { policy });
    }
    let aof = field("aof_enabled").as_deref() == Some("1");
    tracing::info!(
        address = redis.config().address(),
        version,
        aof,
        "connected to redis{}",
        if aof { "" } else { "; it keeps no append-only file, so a crash may lose the newest jobs" }
    );
    Ok(())
}

/// A server of another kind would answer some commands and refuse others later.
fn check_mode(redis: &Redis, mode: Option<&str>) -> Result<(), RedisError> {
    let address = redis.config().address();
    match mode {
        Some("cluster") if !redis.is_cluster() => Err(RedisError::WrongKind {
            address,
            kind: "a server of a cluster",
            remedy: "use redis-cluster:// in REDIS_URL, and a prefix or queue names with a hash tag",
        }),
        Some("sentinel") => Err(RedisError::WrongKind {
            address,
            kind: "a Sentinel",
            remedy: "use redis-sentinel:// with ?sentinelServiceName= in REDIS_URL",
        }),
        _ => Ok(()),
    }
}

fn parts(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parts("10.0.0") > parts(NEEDED));
        assert!(parts("6.2.0") >= parts(NEEDED));
        assert!(parts("6.0.16") < parts(NEEDED));
    }
}
