//! Adding jobs, flows and schedulers.

use operator_core::{FlowJob, NewJob};
use operator_queue::{AddedFlow, JobTemplate, Range, Repeat};
use serde_json::{Value, json};

use super::{Ours, Outcome, done, invalid, missing, refused, view};
use crate::answer::Answer;
use crate::operation::Operation;

impl Ours {
    pub(super) async fn produce(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Add(add) => {
                let job = new_job(&add.name, add.data.as_ref(), add.opts.as_ref())?;
                done(self.queue(&add.queue)?.add(job).await)
            }
            Operation::AddBulk(bulk) => {
                let jobs = bulk.jobs.iter().map(|job| new_job(&job.name, job.data.as_ref(), job.opts.as_ref()));
                let jobs = jobs.collect::<Result<_, _>>()?;
                done(self.queue(&bulk.queue)?.add_bulk(jobs).await)
            }
            Operation::AddFlow(add) => {
                let added = self.flows.add(&flow(&add.flow)?).await.map_err(|error| refused(&error))?;
                Ok(tree(&added))
            }
            Operation::AddFlows(add) => {
                let flows = add.flows.iter().map(flow).collect::<Result<Vec<_>, _>>()?;
                let added = self.flows.add_bulk(&flows).await.map_err(|error| refused(&error))?;
                Ok(added.iter().map(tree).collect())
            }
            Operation::UpsertScheduler(upsert) => {
                let repeat: Repeat = serde_json::from_value(upsert.repeat.clone()).map_err(|error| invalid(&error))?;
                let template = template(upsert.template.as_ref())?;
                let queue = self.queue(&upsert.queue)?;
                let pending = queue.upsert_scheduler(&upsert.scheduler, &repeat, &template).await;
                Ok(pending.map_err(|error| refused(&error))?.map_or(Value::Null, |pending| json!(pending.id)))
            }
            Operation::RemoveScheduler(on) => done(self.queue(&on.queue)?.remove_scheduler(&on.scheduler).await),
            Operation::GetScheduler(on) => {
                let found = self.queue(&on.queue)?.scheduler(&on.scheduler).await.map_err(|error| refused(&error))?;
                Ok(found.as_ref().map_or(Value::Null, view::scheduler))
            }
            Operation::GetSchedulers(page) => {
                let range = Range { first: page.start, last: page.end, ascending: page.asc };
                let found = self.queue(&page.queue)?.schedulers(range).await.map_err(|error| refused(&error))?;
                Ok(found.iter().map(view::scheduler).collect())
            }
            Operation::GetSchedulersCount(on) => done(self.queue(&on.queue)?.schedulers_count().await),
            other => missing(other),
        }
    }
}

fn new_job(name: &str, data: Option<&Value>, opts: Option<&Value>) -> Result<NewJob, Answer> {
    let empty = || json!({});
    let job = json!({
        "name": name, "data": data.cloned().unwrap_or_else(empty), "opts": opts.cloned().unwrap_or_else(empty),
    });
    serde_json::from_value(job).map_err(|error| invalid(&error))
}

fn template(given: Option<&Value>) -> Result<JobTemplate, Answer> {
    let template = given.map(|given| serde_json::from_value(given.clone()));
    Ok(template.transpose().map_err(|error| invalid(&error))?.unwrap_or_default())
}

/// BullMQ gives a job without data an empty object.
fn flow(given: &Value) -> Result<FlowJob, Answer> {
    fn with_data(value: &mut Value) {
        let Some(fields) = value.as_object_mut() else { return };
        fields.entry("data").or_insert_with(|| json!({}));
        if let Some(Value::Array(children)) = fields.get_mut("children") {
            children.iter_mut().for_each(with_data);
        }
    }
    let mut given = given.clone();
    with_data(&mut given);
    serde_json::from_value(given).map_err(|error| invalid(&error))
}

fn tree(added: &AddedFlow) -> Value {
    let children: Vec<Value> = added.children.iter().map(tree).collect();
    json!({ "queue": added.queue_name, "id": added.id, "children": children })
}
