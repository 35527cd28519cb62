//! `operator enqueue`: one job from the command line, or a stream of them from standard input.

use std::fs;
use std::io::{self, BufRead};

use operator_core::{JobOptions, Json, NewJob, QueueName};
use operator_queue::Queue;
use serde::Deserialize;
use serde_json::json;

use crate::arguments::Enqueue;
use crate::failure::Failure;
use crate::run::Session;

/// How many lines are added at a time: what the queue adds with one call.
const CHUNK: usize = 1000;

/// One line of standard input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The queue named on the command line when absent.
    queue: Option<QueueName>,
    name: String,
    #[serde(default)]
    data: Json,
    #[serde(default, alias = "options")]
    opts: JobOptions,
}

pub(crate) async fn run(session: &Session, arguments: Enqueue) -> Result<(), Failure> {
    match arguments.name {
        Some(name) => {
            let data = arguments.data.map_or_else(|| Ok(Json::null()), |argument| data(&argument))?;
            let opts = options(arguments.opts.as_deref())?;
            add(session, &arguments.queue, vec![NewJob { name, data, opts }]).await
        }
        None => stream(session, &arguments.queue, io::stdin().lock()).await,
    }
}

/// How jobs want to be run.
pub(crate) fn options(argument: Option<&str>) -> Result<JobOptions, Failure> {
    serde_json::from_str(argument.unwrap_or("{}")).map_err(|error| Failure::input("--opts", error))
}

/// JSON itself, `@file`, or `-` for standard input.
pub(crate) fn data(argument: &str) -> Result<Json, Failure> {
    let read =
        |what: &str, text: io::Result<String>| text.map_err(|error| Failure::input(format!("--data {what}"), error));
    let text = match argument.strip_prefix('@') {
        Some(path) => read(argument, fs::read_to_string(path))?,
        None if argument == "-" => read("-", io::read_to_string(io::stdin()))?,
        None => argument.to_owned(),
    };
    let text = text.trim();
    Json::parse(text).map_err(|error| Failure::input("--data", format!("not JSON: {error}")))
}

/// Adds lines as they come, a chunk at a time: a stream need not fit into memory.
async fn stream(session: &Session, queue: &QueueName, input: impl BufRead) -> Result<(), Failure> {
    let mut waiting: Vec<(QueueName, Vec<NewJob>)> = Vec::new();
    let mut count = 0;
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|error| Failure::input("standard input", error))?;
        if line.trim().is_empty() {
            continue;
        }
        match parse(&line, queue) {
            Ok((queue, job)) => {
                queued(&mut waiting, queue).push(job);
                count += 1;
            }
            Err(problem) => {
                // What stands before a bad line is added, as it would have been had the stream come more slowly.
                flush(session, &mut waiting).await?;
                return Err(Failure::input(
                    format!("line {}, the {count} jobs before it were added", index + 1),
                    problem,
                ));
            }
        }
        if count % CHUNK == 0 {
            flush(session, &mut waiting).await?;
        }
    }
    flush(session, &mut waiting).await
}

fn parse(line: &str, queue: &QueueName) -> Result<(QueueName, NewJob), serde_json::Error> {
    let line: Line = serde_json::from_str(line)?;
    Ok((line.queue.unwrap_or_else(|| queue.clone()), NewJob { name: line.name, data: line.data, opts: line.opts }))
}

/// The waiting jobs of `queue`. There are few queues in a stream: looking through them is cheaper than hashing.
fn queued(waiting: &mut Vec<(QueueName, Vec<NewJob>)>, queue: QueueName) -> &mut Vec<NewJob> {
    let position = waiting.iter().position(|(name, _)| *name == queue).unwrap_or_else(|| {
        waiting.push((queue, Vec::new()));
        waiting.len() - 1
    });
    &mut waiting[position].1
}

async fn flush(session: &Session, waiting: &mut Vec<(QueueName, Vec<NewJob>)>) -> Result<(), Failure> {
    for (queue, jobs) in waiting.drain(..) {
        add(session, &queue, jobs).await?;
    }
    Ok(())
}

/// Adds jobs to one queue and prints their ids.
async fn add(session: &Session, name: &QueueName, jobs: Vec<NewJob>) -> Result<(), Failure> {
    let queue: Queue = session.queue(name);
    queue.register().await?;
    for id in queue.add_bulk(jobs).await? {
        session.output.print(&json!({"queue": name, "id": id}), || id.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    #[test]
    fn a_line_may_name_its_own_queue() {
        let (named, job) =
            parse(r#"{"queue":"b","name":"n","data":{"a":1.0},"opts":{"attempts":2}}"#, &queue("a")).unwrap();
        assert_eq!((named, job.data.as_str(), job.opts.attempts), (queue("b"), r#"{"a":1.0}"#, 2));
        assert_eq!(parse(r#"{"name":"n"}"#, &queue("a")).unwrap().0, queue("a"));
    }

    #[test]
    fn a_mistyped_field_is_named() {
        let error = parse(r#"{"name":"n","optz":{}}"#, &queue("a")).unwrap_err();
        assert!(error.to_string().contains("optz"), "{error}");
    }

    #[test]
    fn data_that_is_not_json_is_refused_with_the_reason() {
        assert_eq!(data(" [1, 2] ").unwrap().as_str(), "[1, 2]");
        assert!(data("{a: 1}").unwrap_err().to_string().contains("not JSON"));
        assert!(data("@/no/such/file").unwrap_err().to_string().contains("/no/such/file"));
    }
}
