//! The commands that a job costs Operator, sent plain and pipelined, without scripts and without any safety: a floor
//! for what the same keys can cost. It is no queue: it knows one producer and one worker that never fails.

use std::sync::atomic::{AtomicU64, Ordering};

use peer_protocol::{Add, Answer, Data, Notes, Request, now_us, serve};
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, pipe};
use tokio::task::JoinHandle;

/// How many jobs one pipeline claims, when concurrency allows.
const BATCH: usize = 500;

#[tokio::main]
async fn main() {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL says where the server is");
    let client = redis::Client::open(url).expect("the URL is a redis URL");
    let connection = client.get_multiplexed_async_connection().await.expect("the server answers");
    let notes = Notes::default();
    let mut worker: Option<JoinHandle<RedisResult<()>>> = None;
    serve(async |request| match request {
        Request::Add(how) => add(connection.clone(), how).await,
        Request::AddSteadily { .. } | Request::Listen { .. } => {
            Ok(Answer { error: Some("the floor only adds and runs".into()), ..Answer::default() })
        }
        Request::StartWorker { queue, concurrency, .. } => {
            worker = Some(tokio::spawn(work(connection.clone(), queue, concurrency.min(BATCH), notes.clone())));
            Ok(Answer::default())
        }
        Request::Notes => Ok(notes.answer()),
        Request::StopWorker => {
            if let Some(worker) = worker.take() {
                worker.abort();
            }
            Ok::<_, redis::RedisError>(notes.answer())
        }
    })
    .await;
}

async fn add(mut connection: MultiplexedConnection, how: Add) -> RedisResult<Answer> {
    let Add { queue, count, bulk, payload, flight, .. } = how;
    let data = serde_json::to_string(&Data::of(payload)).expect("text can be encoded");
    let size = if bulk > 0 { bulk } else { flight };
    for first in (0..count).step_by(size) {
        let ids: Vec<String> = (first..count.min(first + size)).map(|_| next_id()).collect();
        let mut pipe = pipe();
        pipe.cmd("INCRBY").arg(format!("bull:{queue}:id")).arg(ids.len()).ignore();
        for id in &ids {
            hset(
                &mut pipe,
                &format!("bull:{queue}:{id}"),
                &[
                    ("name", "echo"),
                    ("data", &data),
                    ("opts", "{\"attempts\":0}"),
                    ("timestamp", "1700000000000"),
                    ("delay", "0"),
                    ("priority", "0"),
                ],
            );
            event(&mut pipe, &queue, &[("event", "added"), ("jobId", id), ("name", "echo")]);
            event(&mut pipe, &queue, &[("event", "waiting"), ("jobId", id)]);
        }
        pipe.cmd("LPUSH").arg(format!("bull:{queue}:wait")).arg(&ids).ignore();
        pipe.cmd("ZADD").arg(format!("bull:{queue}:marker")).arg(0).arg("0").ignore();
        pipe.query_async::<()>(&mut connection).await?;
    }
    Ok(Answer::default())
}

/// As long as the ids that Operator makes.
fn next_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("00000000-0000-7000-8000-{:012}", LAST.fetch_add(1, Ordering::Relaxed))
}

async fn work(mut connection: MultiplexedConnection, queue: String, batch: usize, notes: Notes) -> RedisResult<()> {
    let key = |suffix: &str| format!("bull:{queue}:{suffix}");
    let mut finished: Vec<String> = Vec::new();
    loop {
        let mut popped = pipe();
        popped.cmd("RPOP").arg(key("wait")).arg(batch);
        let (ids,): (Option<Vec<String>>,) = popped.query_async(&mut connection).await?;
        let ids = ids.unwrap_or_default();
        if ids.is_empty() && finished.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            continue;
        }
        let mut pipe = pipe();
        let now = (now_us() / 1000).to_string();
        settle(&mut pipe, &queue, &finished, &now);
        if !ids.is_empty() {
            pipe.cmd("LPUSH").arg(key("active")).arg(&ids).ignore();
        }
        for id in &ids {
            pipe.cmd("SET").arg(key(&format!("{id}:lock"))).arg("token:1").arg("PX").arg(30_000).ignore();
            event(&mut pipe, &queue, &[("event", "active"), ("jobId", id), ("prev", "waiting")]);
            hset(&mut pipe, &key(id), &[("processedOn", &now), ("ats", "1")]);
        }
        for id in &ids {
            pipe.cmd("HMGET").arg(key(id)).arg(&[
                "name",
                "data",
                "opts",
                "timestamp",
                "delay",
                "priority",
                "atm",
                "ats",
            ]);
        }
        let jobs: Vec<Vec<Option<String>>> = pipe.query_async(&mut connection).await?;
        for job in jobs {
            let data = job.into_iter().nth(1).flatten().unwrap_or_default();
            let data: Data = serde_json::from_str(&data).expect("the bench's own data");
            notes.take(&data);
        }
        finished = ids;
    }
}

fn settle(pipe: &mut Pipeline, queue: &str, ids: &[String], now: &str) {
    if ids.is_empty() {
        return;
    }
    let key = |suffix: &str| format!("bull:{queue}:{suffix}");
    let locks: Vec<String> = ids.iter().map(|id| key(&format!("{id}:lock"))).collect();
    pipe.cmd("MGET").arg(&locks).ignore();
    for id in ids {
        pipe.cmd("LREM").arg(key("active")).arg(-1).arg(id).ignore();
        hset(pipe, &key(id), &[("atm", "1"), ("returnvalue", "null"), ("finishedOn", now)]);
        event(pipe, queue, &[("event", "completed"), ("jobId", id), ("returnvalue", "null"), ("prev", "active")]);
    }
    pipe.cmd("DEL").arg(&locks).ignore();
    pipe.cmd("SREM").arg(key("stalled")).arg(ids).ignore();
    let done = pipe.cmd("ZADD").arg(key("completed"));
    for id in ids {
        done.arg(now).arg(id);
    }
    done.ignore();
}

fn hset(pipe: &mut Pipeline, key: &str, fields: &[(&str, &str)]) {
    pipe.cmd("HSET").arg(key).arg(fields).ignore();
}

fn event(pipe: &mut Pipeline, queue: &str, fields: &[(&str, &str)]) {
    pipe.cmd("XADD")
        .arg(format!("bull:{queue}:events"))
        .arg("MAXLEN")
        .arg("~")
        .arg(10_000)
        .arg("*")
        .arg(fields)
        .ignore();
}
