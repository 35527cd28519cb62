//! `operator drain`, `clean`, `obliterate`, and `retry --all` and `promote --all`: operations on many jobs, in steps that
//! let others at Redis in between. As JSON they tell how far they are.

use std::io;
use std::time::Duration;

use operator_core::JobState;
use operator_queue::{MAX_STEP, Progress, Queue, QueueError};
use serde_json::json;

use crate::arguments::{Clean, Drain, Obliterate};
use crate::failure::Failure;
use crate::run::Session;

pub(crate) async fn drain(session: &Session, arguments: &Drain) -> Result<(), Failure> {
    let queue = session.queue(&arguments.queue);
    let mut told = Told::new(session);
    let jobs = queue.drain(arguments.delayed, |progress| told.note(progress)).await;
    told.end(&queue, "drained", jobs)
}

pub(crate) async fn clean(session: &Session, arguments: &Clean) -> Result<(), Failure> {
    let queue = session.queue(&arguments.queue);
    let mut told = Told::new(session);
    let grace = Duration::from_millis(arguments.grace);
    let jobs = queue.clean_uncollected(grace, arguments.limit, arguments.state, |progress| told.note(progress)).await;
    told.end(&queue, "cleaned", jobs)
}

pub(crate) async fn obliterate(session: &Session, arguments: &Obliterate) -> Result<(), Failure> {
    if arguments.confirm != arguments.queue.as_str() {
        let problem = format!("it must be {}: everything in that queue will be gone", arguments.queue);
        return Err(Failure::input("--confirm", problem));
    }
    let queue = session.queue(&arguments.queue);
    let mut told = Told::new(session);
    let jobs = queue.obliterate(arguments.force, |progress| told.note(progress)).await;
    told.end(&queue, "obliterated", jobs)
}

pub(crate) async fn retry(
    session: &Session,
    queue: &Queue,
    state: JobState,
    before_ms: Option<u64>,
) -> Result<(), Failure> {
    let mut told = Told::new(session);
    let jobs = queue.retry_jobs(state, MAX_STEP, before_ms, |progress| told.note(progress)).await;
    told.end(queue, "retried", jobs)
}

pub(crate) async fn promote(session: &Session, queue: &Queue) -> Result<(), Failure> {
    let mut told = Told::new(session);
    let jobs = queue.promote_jobs(MAX_STEP, |progress| told.note(progress)).await;
    told.end(queue, "promoted", jobs)
}

/// What is told of an operation while it goes on: steps to programs, the end to people.
struct Told<'a> {
    session: &'a Session,
    written: io::Result<()>,
}

impl<'a> Told<'a> {
    fn new(session: &'a Session) -> Self {
        Self { session, written: Ok(()) }
    }

    fn note(&mut self, progress: Progress) {
        if self.written.is_ok() && !progress.done && self.session.output.is_json() {
            let value = json!({"jobs": progress.jobs, "done": false});
            self.written = self.session.output.print(&value, String::new);
        }
    }

    fn end(self, queue: &Queue, done: &str, jobs: Result<u64, QueueError>) -> Result<(), Failure> {
        let jobs = jobs?;
        self.written?;
        let text = || format!("{done} {}: {jobs} jobs", queue.name());
        Ok(self.session.output.print(&json!({"jobs": jobs, "done": true}), text)?)
    }
}
