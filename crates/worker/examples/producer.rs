//! Gives the worker of the example `typed` three jobs, and prints what became of them.
#![expect(clippy::print_stdout, reason = "the results are what it is for")]

use std::error::Error;
use std::time::Duration;

use operator_core::QueueName;
use operator_core::settings::{Reader, vars};
use operator_queue::{Queue, Redis, RedisConfig};
use operator_telemetry::ProcessEnv;
use operator_worker::{Json, NewJob};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut reader = Reader::new(&ProcessEnv);
    let url = reader.text_or(&vars::REDIS_URL, vars::REDIS_URL.default);
    let name = reader.text_or(&vars::QUEUE_NAME, vars::QUEUE_NAME.default);
    let queue = Queue::new(&Redis::connect(&RedisConfig::new(url)).await?, QueueName::new(name)?);

    let invoices = [vec![250, 1999], vec![100], vec![]];
    let jobs = invoices.iter().map(|cents| Ok(NewJob::new("invoice.total", Json::encode(cents)?)));
    let ids = queue.add_bulk(jobs.collect::<Result<_, serde_json::Error>>()?).await?;
    for id in ids {
        println!("job {id}: {}", outcome(&queue, id.as_str()).await?);
    }
    Ok(())
}

/// Waits until the job has finished.
async fn outcome(queue: &Queue, id: &str) -> Result<String, Box<dyn Error>> {
    while !queue.state(id).await?.is_finished() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let job = queue.job(id).await?.ok_or("the job is gone")?;
    Ok(match job.return_value {
        Some(total) => format!("a total of {} cents", total.as_str()),
        None => format!("failed: {}", job.failed_reason.unwrap_or_default()),
    })
}
