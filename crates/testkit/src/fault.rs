//! A TCP proxy in front of a server that does to connections what networks do: cuts them, stalls them, loses answers.

mod control;
mod held;
mod link;

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use self::control::{Control, Fate, Mode};
pub use self::held::HeldRequest;
use self::link::Link;

/// How a connection ends for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As if the server had crashed: RST.
    Reset,
    /// As if the server had closed it in order: FIN.
    Close,
}

/// One of the two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

/// A running proxy. Dropping it ends all its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    /// The test writes, every link reads.
    control: Arc<Control>,
    /// Accepts connections and owns the tasks of all links.
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of the server on `port` of this machine; it forwards everything until told otherwise.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the system has a free port");
        let own = listener.local_addr().expect("a bound listener has an address").port();
        let control = Arc::new(Control::default());
        let task = tokio::spawn(accept(listener, port, Arc::clone(&control)));
        Self { port: own, control, task }
    }

    /// The port clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.control.open()
    }

    /// Cuts every connection and returns when they are gone. New ones are served as before.
    pub async fn cut(&self, how: Cut) {
        self.control.cut(how);
        self.control.wait_for_cut().await;
    }

    /// Cuts every connection, and new ones as they come, until [`Self::heal`].
    pub async fn refuse(&self) {
        self.control.set(Mode::Refuse);
        self.cut(Cut::Reset).await;
    }

    /// Keeps connections and accepts new ones, but forwards nothing until [`Self::heal`].
    pub fn stall(&self) {
        self.control.set(Mode::Stall);
    }

    /// Forwards requests; cuts a connection instead of delivering an answer on it, until [`Self::heal`].
    pub fn lose_replies(&self) {
        self.control.set(Mode::LoseReplies);
    }

    /// Forwards requests and throws away what the server answers; connections stay, until [`Self::heal`].
    pub fn swallow_replies(&self) {
        self.control.set(Mode::SwallowReplies);
    }

    /// Loses the answer to the next request that contains `pattern`, once: the server has executed it, but the
    /// connection is cut before a byte of the answer (or of answers then still under way) is delivered.
    pub fn lose_reply_to(&self, pattern: impl AsRef<[u8]>) {
        self.control.doom(pattern.as_ref(), Fate::Unanswered);
    }

    /// Holds the next request that contains `pattern`, once, with all that follows on its connection: the server sees
    /// it when the test says so, and until then the connection is as good as dead.
    pub fn hold_request(&self, pattern: impl AsRef<[u8]>) -> HeldRequest {
        let held = HeldRequest::default();
        self.control.doom(pattern.as_ref(), Fate::Held(held.hold()));
        held
    }

    /// Cuts the connection on which the `bytes`-th byte from now passes, right after that byte, once.
    /// Bytes of all connections in the given direction count.
    pub fn cut_after_bytes(&self, side: Side, bytes: usize) {
        self.control.limit(side, bytes);
    }

    /// Forwards everything again and forgets what was still to happen.
    pub fn heal(&self) {
        self.control.heal();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, control: Arc<Control>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            client = listener.accept() => {
                let Ok((client, _)) = client else { return };
                // Counted here, before the client can be told anything, so that a cut never misses it.
                let ticket = control.ticket();
                links.spawn(serve(client, port, Arc::clone(&control), ticket));
            }
            Some(_) = links.join_next() => {}
        }
    }
}

async fn serve(client: TcpStream, port: u16, control: Arc<Control>, ticket: control::Ticket) {
    if control.mode() == Mode::Refuse {
        return link::end(&client, Cut::Reset);
    }
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(server) => Link { client, server, control, ticket }.run().await,
        Err(_) => link::end(&client, Cut::Reset),
    }
}
