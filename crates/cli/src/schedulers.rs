//! `operator schedulers`: jobs at intervals and by cron patterns.

use operator_core::time::iso;
use operator_core::{Json, QueueName};
use operator_queue::{JobTemplate, MAX_PAGE, Range, RepairOutcome, Repeat, Scheduler};
use serde_json::json;

use crate::arguments::{Schedulers, Upsert};
use crate::enqueue::{data, options};
use crate::failure::Failure;
use crate::run::Session;

pub(crate) async fn run(session: &Session, command: Schedulers) -> Result<(), Failure> {
    match command {
        Schedulers::List { queue, limit } => list(session, &queue, limit).await,
        Schedulers::Upsert(arguments) => upsert(session, *arguments).await,
        Schedulers::Remove { queue, ids } => remove(session, &queue, &ids).await,
        Schedulers::Repair { queue } => repair(session, &queue).await,
    }
}

async fn list(session: &Session, name: &QueueName, limit: u64) -> Result<(), Failure> {
    let queue = session.queue(name);
    let (mut schedulers, total) = (Vec::new(), queue.schedulers_count().await?);
    let (mut first, end) = (0, limit.min(total));
    while first < end {
        let last = end.min(first + MAX_PAGE) - 1;
        schedulers.extend(queue.schedulers(Range { first, last, ascending: true }).await?);
        first = last + 1;
    }
    Ok(session.output.table(&schedulers, ["id", "next", "made", "repeat", "name"], row)?)
}

fn row(scheduler: &Scheduler) -> [String; 5] {
    let repeat = match (&scheduler.repeat.pattern, scheduler.repeat.every_ms) {
        (Some(pattern), _) => format!("{pattern} {}", scheduler.repeat.tz.as_deref().unwrap_or("UTC")),
        (None, every_ms) => format!("every {} ms", every_ms.unwrap_or(0)),
    };
    [
        scheduler.id.clone(),
        scheduler.next_ms.map(iso).unwrap_or_default(),
        scheduler.iteration_count.map(|count| count.to_string()).unwrap_or_default(),
        repeat,
        scheduler.name.clone(),
    ]
}

async fn upsert(session: &Session, arguments: Upsert) -> Result<(), Failure> {
    let template = JobTemplate {
        name: arguments.name,
        data: arguments.data.map_or_else(|| Ok(Json::null()), |argument| data(&argument))?,
        opts: options(arguments.opts.as_deref())?,
    };
    let repeat = Repeat {
        every_ms: arguments.every,
        offset_ms: arguments.offset,
        pattern: arguments.pattern,
        tz: arguments.tz,
        limit: arguments.limit,
        start_ms: arguments.start,
        end_ms: arguments.end,
        immediately: arguments.immediately,
    };
    let pending = session.queue(&arguments.queue).upsert_scheduler(&arguments.id, &repeat, &template).await?;
    let pending = pending.ok_or_else(|| Failure::input("--end", "the pattern names no time before it"))?;
    let value = json!({"id": arguments.id, "nextJobId": pending.id, "delay": pending.delay_ms});
    let text = || format!("{} is due in {} ms", pending.id, pending.delay_ms);
    Ok(session.output.print(&value, text)?)
}

async fn remove(session: &Session, name: &QueueName, ids: &[String]) -> Result<(), Failure> {
    let queue = session.queue(name);
    let mut missing = 0;
    for id in ids {
        if queue.remove_scheduler(id).await? {
            session.output.print(&json!({"id": id, "done": "removed"}), || format!("removed {id}"))?;
        } else {
            missing += 1;
            let error = format!("queue {name} has no scheduler {id}");
            session.output.print(&json!({"id": id, "error": error}), || error.clone())?;
        }
    }
    if missing == 0 { Ok(()) } else { Err(Failure::Partly { refused: missing, asked: ids.len(), what: "schedulers" }) }
}

async fn repair(session: &Session, name: &QueueName) -> Result<(), Failure> {
    for repair in session.queue(name).repair_schedulers().await? {
        let outcome = match &repair.outcome {
            RepairOutcome::Made(id) => format!("made {id}"),
            RepairOutcome::Blocked(reason) => reason.clone(),
        };
        session.output.print(&repair, || format!("{}: {outcome}", repair.id))?;
    }
    Ok(())
}
