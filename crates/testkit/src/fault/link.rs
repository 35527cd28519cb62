//! One connection through the proxy: two pumps, and the way it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::control::{Control, Fate, Mode, Ticket};
use super::held::Hold;
use super::{Cut, Side};

/// As much as one read takes; a request longer than this is seen in parts.
const CHUNK: usize = 64 * 1024;

/// A client, its server, and what stands between them.
pub(super) struct Link {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
    pub(super) control: Arc<Control>,
    pub(super) ticket: Ticket,
}

/// Why a pump stopped.
enum Ended {
    /// One side closed its end, or was gone.
    Closed,
    /// The limit of bytes was reached.
    Limit,
    /// An answer came that is not to be delivered.
    Lost,
    /// A request was parted from its client: what the server gets of it later.
    Parted(Arc<Hold>, Vec<u8>),
}

impl Link {
    /// Forwards until one side closes, the test cuts, or something armed happens; ends the client's connection.
    pub(super) async fn run(mut self) {
        let _ = self.client.set_nodelay(true);
        let _ = self.server.set_nodelay(true);
        let doomed = AtomicBool::new(false);
        let (from_client, to_client) = self.client.split();
        let (from_server, to_server) = self.server.split();
        let ended = tokio::select! {
            cut = self.control.wait_to_be_cut(&self.ticket) => return end(&self.client, cut),
            ended = requests(&self.control, from_client, to_server, &doomed) => ended,
            ended = replies(&self.control, from_server, to_client, &doomed) => ended,
        };
        if matches!(ended, Ended::Lost) {
            let _ = let_server_finish(&mut self.server).await;
        }
        end(&self.client, how(&ended));
        if let Ended::Parted(hold, request) = ended {
            drop((self.client, self.ticket));
            hold.outlive_client().await;
            let _ = self.server.write_all(&request).await;
            let _ = let_server_finish(&mut self.server).await;
            hold.note_executed();
        }
    }
}

/// Makes the coming drop of the stream a reset or an orderly close.
pub(super) fn end(client: &TcpStream, how: Cut) {
    if how == Cut::Reset {
        let _ = client.set_zero_linger();
    }
}

fn how(ended: &Ended) -> Cut {
    match ended {
        Ended::Closed => Cut::Close,
        Ended::Limit | Ended::Lost | Ended::Parted(..) => Cut::Reset,
    }
}

/// Ends the server's input and waits until it closed: by then it has executed all that was forwarded to it, so a test
/// that sees the loss also sees the effect.
async fn let_server_finish(server: &mut TcpStream) -> std::io::Result<()> {
    server.shutdown().await?;
    tokio::io::copy(server, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn requests(control: &Control, from: ReadHalf<'_>, to: WriteHalf<'_>, doomed: &AtomicBool) -> Ended {
    let mut tail = Vec::new();
    pump(control, Side::Requests, from, to, |chunk, _| match control.fate(&mut tail, chunk) {
        Some(Fate::Held(hold)) => Verdict::Hold(hold),
        Some(Fate::Unanswered) => {
            doomed.store(true, Ordering::Relaxed);
            Verdict::Forward
        }
        None => Verdict::Forward,
    })
    .await
}

async fn replies(control: &Control, from: ReadHalf<'_>, to: WriteHalf<'_>, doomed: &AtomicBool) -> Ended {
    pump(control, Side::Replies, from, to, |_, mode| match mode {
        _ if doomed.load(Ordering::Relaxed) => Verdict::Lose,
        Mode::LoseReplies | Mode::Refuse => Verdict::Lose,
        Mode::SwallowReplies => Verdict::Swallow,
        Mode::Forward | Mode::Stall => Verdict::Forward,
    })
    .await
}

/// What becomes of a chunk.
enum Verdict {
    Forward,
    Swallow,
    Lose,
    Hold(Arc<Hold>),
}

async fn pump(
    control: &Control,
    side: Side,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut judge: impl FnMut(&[u8], Mode) -> Verdict,
) -> Ended {
    let mut buffer = vec![0; CHUNK];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return Ended::Closed };
        let mode = control.wait_while_stalled().await;
        let chunk = &buffer[..length];
        match judge(chunk, mode) {
            Verdict::Forward => {}
            Verdict::Swallow => continue,
            Verdict::Lose => return Ended::Lost,
            Verdict::Hold(hold) => {
                if !hold.is_let_through().await {
                    return Ended::Parted(hold, chunk.to_vec());
                }
            }
        }
        let passing = control.passing(side, length);
        if to.write_all(&chunk[..passing.unwrap_or(length)]).await.is_err() {
            return Ended::Closed;
        }
        if passing.is_some() {
            return Ended::Limit;
        }
    }
}
