//! `operator retry`, `promote`, `cancel`, `remove`, `pause` and `resume`: changing a queue by hand.

use operator_core::QueueName;
use operator_queue::{CancelOptions, CancelStage, Queue, QueueError, RemoveOptions, RetryOptions};
use serde_json::json;

use crate::arguments::{Cancel, Chosen, Promote, Retry};
use crate::failure::Failure;
use crate::many;
use crate::run::Session;

pub(crate) async fn retry(session: &Session, arguments: &Retry) -> Result<(), Failure> {
    if arguments.all {
        let queue = session.queue(&arguments.queue);
        return many::retry(session, &queue, arguments.state, arguments.before).await;
    }
    let options = RetryOptions {
        lifo: arguments.first,
        reset_attempts_made: arguments.reset_attempts,
        reset_attempts_started: arguments.reset_attempts,
        reset_stalled: arguments.reset_attempts,
        ..RetryOptions::default()
    };
    each(session, &arguments.queue, &arguments.ids, "retried", async |queue, id| queue.retry(id, options).await).await
}

pub(crate) async fn promote(session: &Session, arguments: &Promote) -> Result<(), Failure> {
    if arguments.all {
        return many::promote(session, &session.queue(&arguments.queue)).await;
    }
    each(session, &arguments.queue, &arguments.ids, "promoted", async |queue, id| queue.promote(id).await).await
}

pub(crate) async fn remove(session: &Session, chosen: &Chosen) -> Result<(), Failure> {
    each(session, &chosen.queue, &chosen.ids, "removed", async |queue, id| {
        queue.remove(id, RemoveOptions::default()).await
    })
    .await
}

pub(crate) async fn cancel(session: &Session, arguments: &Cancel) -> Result<(), Failure> {
    let options = CancelOptions { children: arguments.children };
    let Chosen { queue, ids } = &arguments.chosen;
    each_with(session, queue, ids, async |queue, id| {
        let done = queue.cancel(id, &arguments.reason, options).await?;
        Ok(match done.stage {
            CancelStage::Ended => "cancelled",
            CancelStage::Stopping => "stopping",
            CancelStage::Marked => "marked",
        })
    })
    .await
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
    name: &QueueName,
    ids: &[String],
    done: &'static str,
    action: impl AsyncFn(&Queue, &str) -> Result<(), QueueError>,
) -> Result<(), Failure> {
    each_with(session, name, ids, async |queue, id| action(queue, id).await.map(|()| done)).await
}

/// The same, where each says what was done.
async fn each_with(
    session: &Session,
    name: &QueueName,
    ids: &[String],
    action: impl AsyncFn(&Queue, &str) -> Result<&'static str, QueueError>,
) -> Result<(), Failure> {
    let queue = session.queue(name);
    let mut refused = 0;
    for id in ids {
        match action(&queue, id).await {
            Ok(done) => session.output.print(&json!({"id": id, "done": done}), || format!("{done} {id}"))?,
            Err(error @ QueueError::Refused { .. }) if ids.len() > 1 => {
                refused += 1;
                session.output.print(&json!({"id": id, "error": error.to_string()}), || error.to_string())?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if refused == 0 { Ok(()) } else { Err(Failure::Partly { refused, asked: ids.len(), what: "jobs" }) }
}
