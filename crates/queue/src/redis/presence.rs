//! Idle connections that do nothing but carry a name, so that BullMQ lists a worker on each of its queues.

use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface};

use super::{RedisConfig, build, send};

/// A named connection, held open until it is dropped. It is a courtesy: that it cannot connect stops nobody.
pub(crate) struct Presence {
    client: Client,
}

impl Presence {
    pub(crate) fn announce(redis: &RedisConfig, name: String) -> Option<Self> {
        let client = build(redis, redis.parse().ok()?, false).ok()?;
        let (renamed, mut reconnects) = (client.clone(), client.reconnect_rx());
        tokio::spawn(async move {
            let _ = renamed.init().await;
            loop {
                let _ = send(&renamed, "CLIENT", vec!["SETNAME".into(), name.as_str().into()], false).await;
                if reconnects.recv().await.is_err() {
                    break;
                }
            }
        });
        Some(Self { client })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let client = self.client.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(Duration::from_secs(1), client.quit()).await;
            });
        }
    }
}
