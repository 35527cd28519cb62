//! Brings each line that a script prints to whoever waits for it: an answer to its call, an event to the queue of events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// The calls without an answer, by id. Callers add, the thread that reads the script's output takes away.
#[derive(Debug, Default)]
pub(super) struct Router {
    next: AtomicU64,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    open: HashMap<u64, oneshot::Sender<Value>>,
    /// Set at the end of the script's output: nothing will be answered any more.
    ended: bool,
}

impl Router {
    /// An id for a new call, and where its answer will arrive; an error there means that the script ended.
    pub(super) fn expect(&self) -> (u64, oneshot::Receiver<Value>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let mut calls = self.calls();
        if !calls.ended {
            calls.open.insert(id, sender);
        }
        (id, receiver)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().expect("no holder of the lock panics")
    }
}

/// Ends all open calls when the reader is dropped.
struct End(Arc<Router>);

impl Drop for End {
    fn drop(&mut self) {
        let mut calls = self.0.calls();
        calls.ended = true;
        calls.open.clear();
    }
}

/// What to do with each line. Lines that are not JSON are left to the log.
pub(super) fn reader(router: Arc<Router>, events: mpsc::UnboundedSender<Value>) -> impl FnMut(&str) + Send {
    let end = End(router);
    move |line| {
        let Ok(message) = serde_json::from_str::<Value>(line) else { return };
        let call = message["id"].as_u64().and_then(|id| end.0.calls().open.remove(&id));
        match call {
            // A caller that no longer waits does not miss its answer.
            Some(call) => drop(call.send(message)),
            None if message.get("event").is_some() => drop(events.send(message)),
            None => {}
        }
    }
}
