//! A connection for commands that the server holds until something happens.
//!
//! It is made anew whenever anything is wrong with it: a client in an unknown state is not worth repairing, and a
//! worker that waits on a dead connection is the classic way to stop working unnoticed.

use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::ConnectHandle;
use fred::types::config::Server;

use super::cluster::end;
use super::{Arg, Redis, RedisError, Reply, build, is_final, route, send, within};

/// How much longer than asked the server may take before the connection is given up.
const GRACE: Duration = Duration::from_secs(2);

/// A dedicated connection under the name by which BullMQ finds workers. In a cluster it is a connection to the server
/// that the command's first key is on, so one of these serves the keys of one slot.
pub(crate) struct BlockingConnection {
    redis: Redis,
    name: String,
    /// With the server it is connected to, in a cluster.
    client: Option<(Option<Server>, Client, ConnectHandle)>,
}

impl BlockingConnection {
    pub(super) fn new(redis: &Redis, name: String) -> Self {
        Self { redis: redis.clone(), name, client: None }
    }

    /// Sends a command that the server may hold for up to `wait`.
    pub(crate) async fn call(
        &mut self,
        command: &'static str,
        args: Vec<Arg>,
        wait: Duration,
    ) -> Result<Reply, RedisError> {
        let deadline = Instant::now() + wait + GRACE;
        let client = self.client(route::slot_of(command, &args), deadline).await?;
        let answer = match tokio::time::timeout_at(deadline.into(), send(&client, command, args, true)).await {
            Ok(answer) => answer.map_err(RedisError::from),
            Err(_) => Err(RedisError::Lost { problem: format!("{command} passed its deadline") }),
        };
        if answer.is_err() {
            self.drop_client();
            self.redis.note_stale();
        }
        answer.map(Reply::new)
    }

    /// Makes sure that the connection to the server of `key` stands, so that its name is listed also while nobody waits
    /// on it.
    pub(crate) async fn touch(&mut self, key: &str) -> Result<(), RedisError> {
        let deadline = Instant::now() + GRACE;
        let client = self.client(Some(crate::keys::slot(key)), deadline).await?;
        let answer = within(deadline, send(&client, "PING", Vec::new(), false)).await;
        if answer.is_err() {
            self.drop_client();
        }
        answer.map(drop).map_err(RedisError::from)
    }

    async fn client(&mut self, slot: Option<u16>, deadline: Instant) -> Result<Client, RedisError> {
        let (server, parsed) = self.redis.target(slot)?;
        match &self.client {
            Some((connected, client, _)) if *connected == server => return Ok(client.clone()),
            _ => self.drop_client(),
        }
        let config = self.redis.config();
        let client = build(config, parsed, true)?;
        let task = match within(deadline, connect_as(&client, &self.name)).await {
            Ok(task) => task,
            Err(error) => {
                end(client);
                self.redis.note_stale();
                return Err(if is_final(&error) {
                    RedisError::refused(config, &error)
                } else {
                    RedisError::unreachable(config, &error)
                });
            }
        };
        self.client = Some((server, client.clone(), task));
        Ok(client)
    }

    /// Ends the client without waiting for the command it may be blocked in.
    fn drop_client(&mut self) {
        if let Some((_, client, task)) = self.client.take() {
            // The task owns the connection; a farewell would wait behind the command that the server holds.
            task.abort();
            end(client);
        }
    }
}

/// Connects a client and gives the connection its name. The client has no limit of its own for either.
pub(super) async fn connect_as(client: &Client, name: &str) -> Result<ConnectHandle, fred::error::Error> {
    let connection = client.init().await?;
    send(client, "CLIENT", vec!["SETNAME".into(), name.into()], false).await?;
    Ok(connection)
}

impl Drop for BlockingConnection {
    fn drop(&mut self) {
        self.drop_client();
    }
}
