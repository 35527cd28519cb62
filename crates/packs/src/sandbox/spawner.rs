//! The one thread that starts programs.
//!
//! A program is told to die with the *thread* that started it, so that thread must live as long as the worker; the
//! threads of a runtime do not promise that. It also keeps the cost of a fork away from them.

use std::sync::mpsc::{Sender, channel};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::SandboxError;

type Work = Box<dyn FnOnce() + Send>;

/// The thread that starts programs; it ends when this is dropped, and what it started dies with it.
pub(super) struct Spawner {
    work: Sender<Work>,
}

impl Spawner {
    pub(super) fn new() -> Result<Self, SandboxError> {
        let (work, todo) = channel::<Work>();
        let run = move || todo.into_iter().for_each(|work| work());
        thread::Builder::new().name("operator-start".to_owned()).spawn(run).map_err(SandboxError::Thread)?;
        Ok(Self { work })
    }

    /// Does `work` on the thread, as part of the caller's runtime.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = oneshot::channel();
        let runtime = Handle::current();
        let work = Box::new(move || {
            let _inside = runtime.enter();
            // Whoever gave the work up meanwhile drops what it made.
            let _ = done.send(work());
        });
        self.work.send(work).expect("the thread waits for work as long as its sender lives");
        result.await.expect("the thread does every work it was given")
    }
}
