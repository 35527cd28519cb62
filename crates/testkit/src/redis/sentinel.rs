//! A master with replicas and the Sentinels that watch over them, for tests of failovers.

use crate::wait::eventually;

use super::{RedisBuilder, RedisClient, RedisServer};

/// The name under which the Sentinels know the master.
const SERVICE: &str = "mymaster";

/// How long a silent master is waited for before it is called dead: short, so that a test sees a failover.
const DOWN_AFTER_MS: &str = "1000";

/// One master, two replicas and three Sentinels. Dropping it kills all of them.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts all six and waits until the Sentinels know everything.
    ///
    /// # Panics
    ///
    /// When there is no server program, or one does not come up.
    pub async fn start() -> Self {
        Self::with(RedisServer::builder()).await
    }

    /// The same, with these settings for the master and the replicas.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn with(settings: RedisBuilder) -> Self {
        // A replica that is promoted must not wait for the disk of a machine that runs many tests.
        let settings = settings.set("repl-diskless-sync-delay", "0");
        let master = settings.clone().start().await;
        let port = master.port().to_string();
        let mut servers = vec![master];
        for _ in 0..2 {
            servers.push(settings.clone().set("replicaof", &format!("127.0.0.1 {port}")).start().await);
        }
        let configuration = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n\
             sentinel failover-timeout {SERVICE} 3000\n"
        );
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(RedisBuilder::sentinel(configuration.clone()).start().await);
        }
        let group = Self { servers, sentinels };
        group.ready().await;
        group
    }

    /// A `redis-sentinel://` URL that names every Sentinel.
    #[must_use]
    pub fn url(&self) -> String {
        let [first, second, third] = [0, 1, 2].map(|at| format!("127.0.0.1:{}", self.sentinels[at].port()));
        format!("redis-sentinel://{first}?sentinelServiceName={SERVICE}&node={second}&node={third}")
    }

    /// A server, by its position: the first master is the first.
    #[must_use]
    pub fn server(&self, position: usize) -> &RedisServer {
        &self.servers[position]
    }

    /// The position of the server that the Sentinels call the master and that is one.
    pub async fn master(&self) -> usize {
        eventually("a master on which the Sentinels agree", async || self.agreed_master().await).await
    }

    /// A client of our own of the present master.
    pub async fn client(&self) -> RedisClient {
        self.servers[self.master().await].client().await
    }

    /// Lets the Sentinels hand over to a replica while the master is well; returns the new master.
    pub async fn failover(&self) -> usize {
        let old = self.master().await;
        let sentinel = self.sentinels[0].client().await;
        eventually("the Sentinel to begin a failover", async || {
            sentinel.call(&["SENTINEL", "FAILOVER", SERVICE]).await.error().is_none().then_some(())
        })
        .await;
        self.next_master(old).await
    }

    /// Kills the master without a farewell and waits until a replica has taken over; returns it.
    pub async fn kill_master(&mut self) -> usize {
        let old = self.master().await;
        self.servers[old].kill();
        self.next_master(old).await
    }

    /// Waits until every replica has all that the master has written so far.
    pub async fn replicated(&self) {
        let master = self.client().await;
        // Whoever waits must have written itself: the server waits for the caller's last write.
        master.call(&["SET", "testkit:replicated", "1", "PX", "1"]).await.ok();
        let copies = master.call(&["WAIT", "2", "0"]).await.int();
        assert!(copies >= 2, "both replicas follow");
    }

    /// Starts a killed server again; the Sentinels make it a replica.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn restart(&mut self, position: usize) {
        self.servers[position].restart().await;
    }

    async fn next_master(&self, old: usize) -> usize {
        eventually("a replica to take over", async || self.agreed_master().await.filter(|new| *new != old)).await
    }

    async fn agreed_master(&self) -> Option<usize> {
        let mut ports = Vec::new();
        for sentinel in &self.sentinels {
            let answer =
                sentinel.client().await.try_call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await.ok()?;
            ports.push(answer.texts().get(1)?.parse::<u16>().ok()?);
        }
        let position = self.servers.iter().position(|server| ports.iter().all(|port| *port == server.port()))?;
        let role = self.servers[position].client().await.try_call(&["ROLE"]).await.ok()?;
        (role.list()[0].text() == "master").then_some(position)
    }

    async fn ready(&self) {
        for sentinel in &self.sentinels {
            let client = sentinel.client().await;
            eventually("the Sentinels to know the replicas and each other", async || {
                let master = client.call(&["SENTINEL", "MASTER", SERVICE]).await.map();
                let is = |field: &str, value: &str| master.get(field).map(String::as_str) == Some(value);
                (is("num-slaves", "2") && is("num-other-sentinels", "2") && is("flags", "master")).then_some(())
            })
            .await;
        }
        for replica in &self.servers[1..] {
            let client = replica.client().await;
            eventually("the replicas to have the master's data", async || {
                let info = client.info("replication").await;
                (info.get("master_link_status").map(String::as_str) == Some("up")).then_some(())
            })
            .await;
        }
    }
}
