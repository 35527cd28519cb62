//! `operator retry`, `promote`, `remove`, `pause` and `resume`: changing a queue by hand.

use operator_core::QueueName;
use operator_queue::{Queue, QueueError, RemoveOptions, RetryOptions};
use serde_json::json;

use crate::arguments::{Chosen, Retry};
use crate::failure::Failure;
use crate::run::Session;

pub(crate) async fn retry(session: &Session, arguments: &Retry) -> Result<(), Failure> {
    let options = RetryOptions {
        lifo: arguments.first,
        reset_attempts_made: arguments.reset_attempts,
        reset_attempts_started: arguments.reset_attempts,
        ..RetryOptions::default()
    };
    each(session, &arguments.chosen, "retried", async |queue, id| queue.retry(id, options).await).await
}

pub(crate) async fn promote(session: &Session, chosen: &Chosen) -> Result<(), Failure> {
    each(session, chosen, "promoted", async |queue, id| queue.promote(id).await).await
}

pub(crate) async fn remove(session: &Session, chosen: &Chosen) -> Result<(), Failure> {
    each(session, chosen, "removed", async |queue, id| queue.remove(id, RemoveOptions::default()).await).await
}

pub(crate) async fn pause(session: &Session, name: &QueueName) -> Result<(), Failure> {
    session.queue(name).pause().await?;
    Ok(session.output.print(&json!({"queue": name, "paused": true}), || format!("paused {name}"))?)
}

pub(crate) async fn resume(session: &Session, name: &QueueName) -> Result<(), Failure> {
    session.queue(name).resume().await?;
    Ok(session.output.print(&json!({"queue": name, "paused": false}), || format!("resumed {name}"))?)
}

/// Does something to every job of a list; one that is refused does not keep the others from it.
async fn each(
    session: &Session,
    chosen: &Chosen,
    done: &str,
    action: impl AsyncFn(&Queue, &str) -> Result<(), QueueError>,
) -> Result<(), Failure> {
    let queue = session.queue(&chosen.queue);
    let mut refused = 0;
    for id in &chosen.ids {
        match action(&queue, id).await {
            Ok(()) => session.output.print(&json!({"id": id, "done": done}), || format!("{done} {id}"))?,
            Err(error @ QueueError::Refused { .. }) if chosen.ids.len() > 1 => {
                refused += 1;
                session.output.print(&json!({"id": id, "error": error.to_string()}), || error.to_string())?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if refused == 0 { Ok(()) } else { Err(Failure::Partly { refused, asked: chosen.ids.len() }) }
}
