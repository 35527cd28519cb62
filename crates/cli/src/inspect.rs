//! `operator queues`, `jobs` and `job`: looking without changing a job. `queues` searches all keys, and makes the queues
//! that it finds known to our dispatchers.

use operator_core::{JobState, QueueName};
use operator_queue::registry::discover_queues;
use operator_queue::{MAX_PAGE, Queue, Range};

use crate::arguments::Jobs;
use crate::failure::Failure;
use crate::run::Session;
use crate::view::{JobView, QueueView};

/// The order in which jobs are listed: what happens now, what will, what has.
const ORDER: [JobState; 7] = [
    JobState::Active,
    JobState::Waiting,
    JobState::Prioritized,
    JobState::Delayed,
    JobState::WaitingChildren,
    JobState::Failed,
    JobState::Completed,
];

/// How many lines of a job's log are shown.
const LOG_LINES: u64 = 100;

pub(crate) async fn queues(session: &Session) -> Result<(), Failure> {
    let mut queues = Vec::new();
    for name in discover_queues(&session.redis, || true).await? {
        let counts = session.queue(&name).counts().await?;
        queues.push(QueueView::new(name.as_str(), counts));
    }
    Ok(session.output.table(&queues, QueueView::COLUMNS, QueueView::row)?)
}

pub(crate) async fn jobs(session: &Session, arguments: &Jobs) -> Result<(), Failure> {
    let queue = session.queue(&arguments.queue);
    let wanted = |state: &&JobState| arguments.states.is_empty() || arguments.states.contains(state);
    let mut jobs = Vec::new();
    for state in ORDER.iter().filter(wanted) {
        let room = arguments.limit.saturating_sub(jobs.len() as u64);
        jobs.extend(in_state(&queue, *state, room).await?);
    }
    Ok(session.output.table(&jobs, JobView::COLUMNS, JobView::row)?)
}

/// The newest jobs in `state`, at most `limit`.
async fn in_state(queue: &Queue, state: JobState, limit: u64) -> Result<Vec<JobView>, Failure> {
    let mut jobs = Vec::new();
    let mut first = 0;
    while first < limit {
        let last = limit.min(first + MAX_PAGE) - 1;
        let page = queue.jobs(state, Range { first, last, ascending: false }).await?;
        if page.is_empty() {
            break;
        }
        jobs.extend(page.into_iter().map(|job| JobView::new(job, state, Vec::new())));
        first = last + 1;
    }
    Ok(jobs)
}

pub(crate) async fn job(session: &Session, name: &QueueName, id: &str) -> Result<(), Failure> {
    let queue = session.queue(name);
    let not_found = || Failure::NotFound { queue: name.to_string(), id: id.to_owned() };
    let job = queue.job(id).await?.ok_or_else(not_found)?;
    let state = queue.state(id).await?;
    let (logs, _) = queue.logs(id, 0, LOG_LINES - 1).await?;
    let view = JobView::new(job, state, logs);
    Ok(session.output.print(&view, || view.page())?)
}
