//! A connection for commands that the server holds until something happens.
//!
//! It is made anew whenever anything is wrong with it: a client in an unknown state is not worth repairing, and a
//! worker that waits on a dead connection is the classic way to stop working unnoticed.

use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::ClientLike;

use super::{Arg, RedisConfig, RedisError, Reply, build, is_final, send, within};

/// How much longer than asked the server may take before the connection is given up.
const GRACE: Duration = Duration::from_secs(2);

/// A dedicated connection under the name by which BullMQ finds workers.
pub(crate) struct BlockingConnection {
    config: RedisConfig,
    name: String,
    client: Option<Client>,
}

impl BlockingConnection {
    pub(crate) fn new(config: &RedisConfig, name: String) -> Self {
        Self { config: config.clone(), name, client: None }
    }

    /// Sends a command that the server may hold for up to `wait`.
    pub(crate) async fn call(
        &mut self,
        command: &'static str,
        args: Vec<Arg>,
        wait: Duration,
    ) -> Result<Reply, RedisError> {
        let deadline = Instant::now() + wait + GRACE;
        let client = self.client(deadline).await?;
        match tokio::time::timeout_at(deadline.into(), send(&client, command, args, true)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                self.drop_client();
                Err(error)
            }
            Err(_) => {
                self.drop_client();
                Err(RedisError::Lost { problem: format!("{command} passed its deadline") })
            }
        }
    }

    /// Makes sure that the connection stands, so that its name is listed also while nobody waits on it.
    pub(crate) async fn touch(&mut self) -> Result<(), RedisError> {
        self.call("PING", Vec::new(), Duration::ZERO).await.map(drop)
    }

    async fn client(&mut self, deadline: Instant) -> Result<Client, RedisError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = build(&self.config, self.config.parse()?, true)?;
        if let Err(error) = within(deadline, client.init()).await {
            discard(client);
            return Err(if is_final(&error) {
                RedisError::refused(&self.config, &error)
            } else {
                RedisError::unreachable(&self.config, &error)
            });
        }
        send(&client, "CLIENT", vec!["SETNAME".into(), self.name.as_str().into()], false).await?;
        self.client = Some(client.clone());
        Ok(client)
    }

    fn drop_client(&mut self) {
        if let Some(client) = self.client.take() {
            discard(client);
        }
    }
}

impl Drop for BlockingConnection {
    fn drop(&mut self) {
        self.drop_client();
    }
}

/// Ends a client without waiting for the command it may be blocked in.
fn discard(client: Client) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let _ = tokio::time::timeout(Duration::from_secs(1), client.quit()).await;
        });
    }
}
