//! A Redis Cluster of a test's own: masters that share the slots evenly, and replicas of them if asked for.

use crate::ports::PortLease;
use crate::wait::eventually;

use super::{RedisBuilder, RedisClient, RedisServer, Reply};

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// How long a silent node is waited for before the others call it dead: short, so that a test sees a failover.
const NODE_TIMEOUT_MS: &str = "1000";

/// A running cluster. Dropping it kills every node.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters first, in the order of their slots, then the replicas: the first of each master, the second of each…
    nodes: Vec<Node>,
    masters: usize,
}

#[derive(Debug)]
struct Node {
    server: RedisServer,
    /// On which the nodes talk to each other. Redis would take the port 10000 above, which may be another test's.
    bus: PortLease,
}

impl RedisCluster {
    /// Three masters.
    ///
    /// # Panics
    ///
    /// When there is no server program, or the cluster does not form.
    pub async fn start() -> Self {
        Self::with(3, 0, RedisServer::builder().durable()).await
    }

    /// Three masters with one replica each, which takes over when its master is killed.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn with_replicas() -> Self {
        Self::with(3, 1, RedisServer::builder().durable()).await
    }

    /// This many masters, each with this many replicas, all with these settings.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn with(masters: usize, replicas: usize, settings: RedisBuilder) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..masters * (1 + replicas) {
            nodes.push(start_node(settings.clone()).await);
        }
        let cluster = Self { nodes, masters };
        cluster.form().await;
        cluster
    }

    /// A `redis-cluster://` URL that names every master.
    #[must_use]
    pub fn url(&self) -> String {
        let address = |node: &Node| format!("127.0.0.1:{}", node.server.port());
        let others: Vec<String> = self.nodes[1..self.masters].iter().map(address).collect();
        format!("redis-cluster://{}?node={}", address(&self.nodes[0]), others.join("&node="))
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node, which never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node, by its position: the masters come first.
    #[must_use]
    pub fn node(&self, position: usize) -> &RedisServer {
        &self.nodes[position].server
    }

    /// A client of our own of one node.
    pub async fn client(&self, position: usize) -> RedisClient {
        self.nodes[position].server.client().await
    }

    /// The position of the master that was given the slot of `key` when the cluster formed.
    pub async fn master_of(&self, key: &str) -> usize {
        let running = self.any().await;
        let slot = running.call(&["CLUSTER", "KEYSLOT", key]).await.int();
        (0..self.masters).find(|at| slots(*at, self.masters).contains(&slot)).expect("every slot has a master")
    }

    /// Kills a node without a farewell.
    pub fn kill(&mut self, position: usize) {
        self.nodes[position].server.kill();
    }

    /// Starts a node again and waits until the cluster serves all slots.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn restart(&mut self, position: usize) {
        self.nodes[position].server.restart().await;
        self.ready().await;
    }

    /// Waits until every running node says that the cluster serves all slots.
    pub async fn ready(&self) {
        for node in &self.nodes {
            let client = node.server.client().await;
            eventually("every node to find the cluster complete", async || {
                let info = match client.try_call(&["CLUSTER", "INFO"]).await {
                    Ok(Reply::Text(info)) => String::from_utf8_lossy(&info).into_owned(),
                    Ok(_) => return None,
                    Err(_) => return Some(()),
                };
                let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
                (info.contains("cluster_state:ok") && info.contains(&known)).then_some(())
            })
            .await;
        }
    }

    /// Moves the slot of `key`, with whatever is in it, to another master, as `redis-cli --cluster reshard` does.
    pub async fn move_slot(&self, key: &str, from: usize, to: usize) {
        let (source, target) = (self.client(from).await, self.client(to).await);
        let slot = source.call(&["CLUSTER", "KEYSLOT", key]).await.int().to_string();
        let (source_id, target_id) = (node_id(&source).await, node_id(&target).await);
        target.call(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]).await.ok();
        source.call(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]).await.ok();
        let port = self.nodes[to].server.port().to_string();
        loop {
            let keys = source.call(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await.ok().texts();
            if keys.is_empty() {
                break;
            }
            let mut migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"].map(str::to_owned).to_vec();
            migrate.extend(keys);
            source.call(&migrate).await.ok();
        }
        for node in 0..self.masters {
            self.client(node).await.call(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]).await.ok();
        }
    }

    async fn any(&self) -> RedisClient {
        for node in &self.nodes {
            let client = node.server.client().await;
            if client.try_call(&["PING"]).await.is_ok() {
                return client;
            }
        }
        panic!("every node of the cluster was killed");
    }

    async fn form(&self) {
        for (position, node) in self.nodes.iter().enumerate() {
            let client = node.server.client().await;
            // Without an epoch of their own, the masters would quarrel over their slots at first.
            client.call(&["CLUSTER", "SET-CONFIG-EPOCH", &(position + 1).to_string()]).await.ok();
            if position < self.masters {
                let slots = slots(position, self.masters);
                let (first, last) = (slots.start().to_string(), slots.end().to_string());
                client.call(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await.ok();
            }
            for other in &self.nodes[..position] {
                let (port, bus) = (other.server.port().to_string(), other.bus.port().to_string());
                client.call(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await.ok();
            }
        }
        self.ready().await;
        for position in self.masters..self.nodes.len() {
            self.make_replica(position).await;
        }
    }

    async fn make_replica(&self, position: usize) {
        let master = node_id(&self.client(position % self.masters).await).await;
        let replica = self.client(position).await;
        eventually("the replica to know its master", async || {
            replica.call(&["CLUSTER", "REPLICATE", &master]).await.error().is_none().then_some(())
        })
        .await;
        eventually("the replica to have its master's data", async || {
            let info = replica.info("replication").await;
            (info.get("master_link_status").map(String::as_str) == Some("up")).then_some(())
        })
        .await;
    }
}

async fn start_node(settings: RedisBuilder) -> Node {
    let bus = PortLease::take();
    let settings = settings
        .set("cluster-enabled", "yes")
        .set("cluster-port", &bus.port().to_string())
        .set("cluster-node-timeout", NODE_TIMEOUT_MS)
        .set("repl-diskless-sync-delay", "0");
    Node { server: settings.start().await, bus }
}

async fn node_id(client: &RedisClient) -> String {
    client.call(&["CLUSTER", "MYID"]).await.text()
}

/// The slots of the master at `position`.
fn slots(position: usize, masters: usize) -> std::ops::RangeInclusive<i64> {
    let bound = |position: usize| i64::try_from(SLOTS * position / masters).expect("there are 16384 slots");
    bound(position)..=bound(position + 1) - 1
}
