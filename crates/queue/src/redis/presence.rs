//! Idle connections that do nothing but carry a name, so that BullMQ lists a worker on each of its queues.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::blocking::connect_as;
use super::cluster::end;
use super::{Redis, RedisError, build, within};
use crate::keys;

/// How long a connection may take to stand and to have its name: a server that falls silent is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A named connection, held open until it is dropped. It is a courtesy: that it cannot connect stops nobody.
pub(crate) struct Presence(#[expect(dead_code, reason = "it ends the task when it is dropped")] DropGuard);

impl Presence {
    /// A connection called `name` to the server that has `key`.
    pub(crate) fn announce(redis: &Redis, name: String, key: &str) -> Self {
        let (token, redis, slot) = (CancellationToken::new(), redis.clone(), keys::slot(key));
        let ended = token.clone();
        tokio::spawn(async move {
            let mut pauses = pauses();
            while !ended.is_cancelled() {
                if hold(&redis, &name, slot, &ended).await.is_ok() {
                    pauses = self::pauses();
                }
                redis.note_stale();
                let pause = pauses.next().unwrap_or(Duration::from_secs(5));
                let _ = tokio::time::timeout(pause, ended.cancelled()).await;
            }
        });
        Self(token.drop_guard())
    }
}

/// Connects and stays until the connection breaks or the presence ends.
async fn hold(redis: &Redis, name: &str, slot: u16, ended: &CancellationToken) -> Result<(), RedisError> {
    let (_, parsed) = redis.target(Some(slot))?;
    let client = build(redis.config(), parsed, true)?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let answer = match within(deadline, connect_as(&client, name)).await {
        Ok(connection) => {
            tokio::select! {
                _ = connection => {}
                () = ended.cancelled() => {}
            }
            Ok(())
        }
        Err(error) => Err(RedisError::from(error)),
    };
    end(client);
    answer
}

/// Between attempts to connect again: 100 ms at first, five seconds at most, spread.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter()
        .build()
}
