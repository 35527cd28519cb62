//! What a proxy is to do, as the test sets it and its links read it.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::held::Hold;
use super::{Cut, Side};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    #[default]
    Forward,
    Stall,
    LoseReplies,
    SwallowReplies,
    Refuse,
}

/// Shared by the test's [`super::Proxy`] and all its links.
#[derive(Debug, Default)]
pub(super) struct Control {
    mode: watch::Sender<Mode>,
    /// The number of cuts so far and how the last one was made. A link ends at the first cut after its own beginning.
    cuts: watch::Sender<(u64, Option<Cut>)>,
    /// The number of cuts before each open link, one entry a link.
    open: Arc<watch::Sender<Vec<u64>>>,
    /// What is to happen once.
    armed: Mutex<Armed>,
}

/// What becomes of the request that an armed pattern is found in.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It is executed, and its answer is lost with the connection.
    Unanswered,
    /// It stops in front of the server.
    Held(Arc<Hold>),
}

#[derive(Debug, Default)]
struct Armed {
    pattern: Option<(Vec<u8>, Fate)>,
    limit: Option<(Side, usize)>,
}

/// Counts a link as open for as long as it lives.
#[derive(Debug)]
pub(super) struct Ticket {
    born: u64,
    open: Arc<watch::Sender<Vec<u64>>>,
}

impl Control {
    pub(super) fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Returns when the proxy is not to stall, with what it is to do instead.
    pub(super) async fn wait_while_stalled(&self) -> Mode {
        let mut modes = self.mode.subscribe();
        *modes.wait_for(|mode| *mode != Mode::Stall).await.expect("the sender is part of self")
    }

    pub(super) fn open(&self) -> usize {
        self.open.borrow().len()
    }

    pub(super) fn ticket(&self) -> Ticket {
        let born = self.cuts.borrow().0;
        self.open.send_modify(|open| open.push(born));
        Ticket { born, open: Arc::clone(&self.open) }
    }

    pub(super) fn cut(&self, how: Cut) {
        self.cuts.send_modify(|(count, last)| {
            *count += 1;
            *last = Some(how);
        });
    }

    /// Returns when no link is left that was open at the last cut.
    pub(super) async fn wait_for_cut(&self) {
        let cuts = self.cuts.borrow().0;
        let mut open = self.open.subscribe();
        let gone = open.wait_for(|open| open.iter().all(|born| *born >= cuts)).await;
        drop(gone.expect("the sender is part of self"));
    }

    /// Returns when the holder of the ticket is cut.
    pub(super) async fn wait_to_be_cut(&self, ticket: &Ticket) -> Cut {
        let mut cuts = self.cuts.subscribe();
        let cut = cuts.wait_for(|(count, _)| *count > ticket.born).await.expect("the sender is part of self");
        cut.1.unwrap_or(Cut::Reset)
    }

    pub(super) fn doom(&self, pattern: &[u8], fate: Fate) {
        self.armed().pattern = Some((pattern.to_vec(), fate));
    }

    pub(super) fn limit(&self, side: Side, bytes: usize) {
        self.armed().limit = Some((side, bytes));
    }

    pub(super) fn heal(&self) {
        *self.armed() = Armed::default();
        self.set(Mode::Forward);
    }

    /// The fate of the request whose pattern ends in this chunk; only once. `tail` is what the caller keeps of the
    /// chunks before it, as a pattern may begin in one and end in the next.
    pub(super) fn fate(&self, tail: &mut Vec<u8>, chunk: &[u8]) -> Option<Fate> {
        let mut armed = self.armed();
        let Some((pattern, _)) = &armed.pattern else {
            tail.clear();
            return None;
        };
        tail.extend_from_slice(chunk);
        let found = contains(tail, pattern);
        tail.drain(..tail.len().saturating_sub(pattern.len().saturating_sub(1)));
        if !found {
            return None;
        }
        tail.clear();
        armed.pattern.take().map(|(_, fate)| fate)
    }

    /// How many of `bytes` may pass before the link is cut; none when all may.
    pub(super) fn passing(&self, side: Side, bytes: usize) -> Option<usize> {
        let mut armed = self.armed();
        match armed.limit {
            Some((limited, left)) if limited == side => {
                armed.limit = (bytes < left).then(|| (side, left - bytes));
                (bytes >= left).then_some(left)
            }
            _ => None,
        }
    }

    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().expect("no holder of the lock panics")
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.open.send_modify(|open| {
            let own = open.iter().position(|born| *born == self.born);
            open.swap_remove(own.expect("a ticket's entry is removed with it alone"));
        });
    }
}

fn contains(text: &[u8], pattern: &[u8]) -> bool {
    !pattern.is_empty() && text.windows(pattern.len()).any(|window| window == pattern)
}
