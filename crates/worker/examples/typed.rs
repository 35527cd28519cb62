//! A worker process with a job type of its own. `REDIS_URL` and `QUEUE_NAME` say where its jobs come from; the example
//! `producer` gives it some.

use operator_worker::{Context, Exit, Failure};

async fn total(cents: Vec<u64>, context: Context) -> Result<u64, Failure> {
    context.log("adding up").await?;
    Ok(cents.iter().sum())
}

fn main() -> Exit {
    operator_worker::run("billing", |jobs| {
        jobs.register("invoice.total", total);
    })
}
