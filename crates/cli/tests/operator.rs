//! The command `operator` as a person or a script uses it: real processes against a private Redis.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

use operator_testkit::RedisServer;
use serde_json::Value;

fn operator(url: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(arguments).env_clear().env("REDIS_URL", url);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("operator starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    thread::scope(|scope| {
        // Beside the reading, so that neither side waits on a full pipe. A command that reads no input may have ended.
        scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
        child.wait_with_output().expect("operator ends")
    })
}

/// The JSON lines of a command that must succeed.
fn json(url: &str, arguments: &[&str], input: &str) -> Vec<Value> {
    let output = operator(url, &[arguments, &["--json"]].concat(), input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("output is text");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// The exit code and the message of a command that must fail.
fn failure(url: &str, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let output = operator(url, arguments, input);
    (output.status.code(), String::from_utf8(output.stderr).expect("messages are text"))
}

#[tokio::test]
async fn a_job_is_added_shown_and_removed() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let added = json(&url, &["enqueue", "mail", "send", "--data", "{\"to\":1.0}", "--opts", "{\"attempts\":3}"], "");
    let id = added[0]["id"].as_str().unwrap();

    let job = &json(&url, &["job", "mail", id], "")[0];
    assert_eq!(
        (job["name"].as_str(), job["state"].as_str(), job["status"].as_str()),
        (Some("send"), Some("waiting"), Some("pending"))
    );
    assert_eq!((&job["data"]["to"], &job["opts"]["attempts"]), (&1.0.into(), &3.into()));

    let queues = json(&url, &["queues"], "");
    assert_eq!((queues[0]["name"].as_str(), &queues[0]["counts"]["waiting"]), (Some("mail"), &1.into()));

    assert_eq!(json(&url, &["remove", "mail", id], "")[0]["done"], "removed");
    let (code, message) = failure(&url, &["job", "mail", id], "");
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains(id), "{message}");
}

#[tokio::test]
async fn a_stream_of_jobs_goes_to_the_queues_its_lines_name() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let line = |index: usize| match index % 2 {
        0 => format!("{{\"name\":\"n\",\"data\":{index}}}\n"),
        _ => format!("{{\"queue\":\"other\",\"name\":\"n\",\"data\":{index}}}\n"),
    };
    let input: String = (0..2500).map(line).collect();
    assert_eq!(json(&url, &["enqueue", "mail", "--stdin"], &input).len(), 2500);
    let queues = json(&url, &["queues"], "");
    let waiting: Vec<u64> = queues.iter().map(|queue| queue["counts"]["waiting"].as_u64().unwrap()).collect();
    assert_eq!(waiting, [1250, 1250]);
}

#[tokio::test]
async fn jobs_are_listed_by_state_up_to_a_limit() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let input = "{\"name\":\"now\"}\n\n{\"name\":\"later\",\"opts\":{\"delay\":600000}}\n".repeat(2);
    json(&url, &["enqueue", "mail", "--stdin"], &input);
    let names = |arguments: &[&str]| -> Vec<String> {
        let jobs = json(&url, &[&["jobs", "mail"], arguments].concat(), "");
        jobs.iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]), ["now", "now", "later", "later"]);
    assert_eq!(names(&["--state", "delayed"]), ["later", "later"]);
    assert_eq!(names(&["--limit", "3"]), ["now", "now", "later"]);

    let text = String::from_utf8(operator(&url, &["jobs", "mail", "--limit", "1"], "").stdout).unwrap();
    assert!(text.starts_with("ID ") && text.lines().count() == 2, "{text}");
}

#[tokio::test]
async fn a_delayed_job_is_promoted_and_one_that_waits_is_refused() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let add =
        |opts: &str| json(&url, &["enqueue", "mail", "send", "--opts", opts], "")[0]["id"].as_str().unwrap().to_owned();
    let (delayed, waiting) = (add("{\"delay\":600000}"), add("{}"));
    let output = operator(&url, &["promote", "mail", &waiting, &delayed], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("promoted {delayed}")));
    assert_eq!(json(&url, &["job", "mail", &delayed], "")[0]["state"], "waiting");
    assert_eq!(failure(&url, &["retry", "mail", &waiting], "").0, Some(1));
}

#[tokio::test]
async fn jobs_are_cancelled_with_a_reason() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let added =
        json(&url, &["enqueue", "mail", "--stdin"], "{\"name\":\"a\"}\n{\"name\":\"b\",\"opts\":{\"delay\":60000}}\n");
    let ids: Vec<&str> = added.iter().map(|job| job["id"].as_str().unwrap()).collect();
    let done = json(&url, &["cancel", "mail", ids[0], ids[1], "--reason", "not today"], "");
    assert_eq!((&done[0]["done"], &done[1]["done"]), (&"cancelled".into(), &"cancelled".into()));
    let job = &json(&url, &["job", "mail", ids[1]], "")[0];
    assert_eq!((&job["status"], &job["error"]), (&"cancelled".into(), &"cancelled: not today".into()));
    assert_eq!(failure(&url, &["cancel", "mail", ids[0]], "").0, Some(1));
}

#[tokio::test]
async fn a_queue_is_paused_and_resumed() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    json(&url, &["enqueue", "mail", "send"], "");
    let paused = || json(&url, &["queues"], "")[0]["paused"].clone();
    json(&url, &["pause", "mail"], "");
    assert_eq!(paused(), true);
    json(&url, &["resume", "mail"], "");
    assert_eq!(paused(), false);
}

#[tokio::test]
async fn what_cannot_be_understood_is_named_with_its_place() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let (code, message) = failure(&url, &["enqueue", "mail", "--stdin"], "{\"name\":\"a\"}\n{\"nam\":\"b\"}\n");
    assert!(code == Some(2) && message.contains("line 2") && message.contains("nam"), "{message}");
    assert_eq!(json(&url, &["queues"], "")[0]["counts"]["waiting"], 1);

    let (code, message) = failure(&url, &["enqueue", "mail", "send", "--data", "{oops"], "");
    assert!(code == Some(2) && message.contains("--data"), "{message}");
    let (code, message) = failure(&url, &["enqueue", "mail", "send", "--opts", "{\"jobId\":\"wait\"}"], "");
    assert!(code == Some(1) && message.contains("reserved"), "{message}");
}

#[tokio::test]
async fn a_flow_is_added_from_a_file_and_drawn_as_a_tree() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let child = r#"{"name":"fetch","queueName":"crawl","data":1.0}"#;
    let flow = format!(r#"{{"name":"report","queueName":"mail","children":[{child},{child}]}}"#);
    let added = &json(&url, &["flow", "-"], &flow)[0];
    assert_eq!((&added["queueName"], &added["children"][1]["queueName"]), (&"mail".into(), &"crawl".into()));
    let id = added["id"].as_str().unwrap();
    assert_eq!(json(&url, &["job", "mail", id], "")[0]["state"], "waiting-children");

    let text = String::from_utf8(operator(&url, &["flow", "-"], &format!("[{flow},{flow}]")).stdout).unwrap();
    let queues: Vec<&str> = text.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(queues, ["mail", "  crawl", "  crawl", "mail", "  crawl", "  crawl"]);

    let (code, message) = failure(&url, &["flow", "-"], r#"{"name":"a","queueName":"a:b"}"#);
    assert!(code == Some(2) && message.contains("colon"), "{message}");
    let cyclic = r#"{"name":"a","queueName":"q","opts":{"jobId":"x"},"children":[{"name":"b","queueName":"q","opts":{"jobId":"x"}}]}"#;
    let (code, message) = failure(&url, &["flow", "-"], cyclic);
    assert!(code == Some(1) && message.contains("wait for itself"), "{message}");
    assert_eq!(failure(&url, &["flow", "/no/such/file"], "").0, Some(2));
}

#[tokio::test]
async fn many_jobs_are_promoted_drained_cleaned_and_a_queue_obliterated() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let counts = || json(&url, &["queues"], "")[0]["counts"].clone();
    let last = |arguments: &[&str]| json(&url, arguments, "").pop().unwrap();
    let done = |jobs: u64| serde_json::json!({"jobs": jobs, "done": true});
    let input = "{\"name\":\"n\",\"opts\":{\"delay\":600000}}\n".repeat(2100);
    json(&url, &["enqueue", "mail", "--stdin"], &input);
    let steps = json(&url, &["promote", "mail", "--all"], "");
    assert_eq!((steps.first().unwrap()["done"].clone(), steps.last()), (false.into(), Some(&done(2100))));
    assert_eq!(last(&["clean", "mail", "--grace", "600000", "--state", "waiting"]), done(0));
    assert_eq!(last(&["clean", "mail", "--grace", "0", "--state", "waiting", "--limit", "50"]), done(50));
    let text = operator(&url, &["drain", "mail"], "").stdout;
    assert_eq!(String::from_utf8(text).unwrap(), "drained mail: 2050 jobs\n");
    assert_eq!(last(&["retry", "mail", "--all"]), done(0));

    json(&url, &["enqueue", "mail", "n"], "");
    let (code, message) = failure(&url, &["obliterate", "mail", "--confirm", "male"], "");
    assert!(code == Some(2) && message.contains("mail"), "{message}");
    assert_eq!(counts()["waiting"], 1);
    assert_eq!(last(&["obliterate", "mail", "--confirm", "mail"]), done(1));
    let keys = redis.client().await.call(&["KEYS", "bull:mail:*"]).await.texts();
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test]
async fn a_scheduler_is_made_listed_and_ended() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let upsert = ["schedulers", "upsert", "mail", "nightly", "--pattern", "0 3 * * *", "--tz", "Europe/Berlin"];
    let made = &json(
        &url,
        &[&upsert[..], &["--name", "send", "--data", "{\"a\":1}", "--opts", "{\"attempts\":2}"]].concat(),
        "",
    )[0];
    assert!(made["nextJobId"].as_str().unwrap().starts_with("repeat:nightly:"), "{made}");
    json(&url, &["schedulers", "upsert", "mail", "often", "--every", "60000"], "");
    let listed = json(&url, &["schedulers", "list", "mail"], "");
    assert_eq!((&listed[0]["key"], &listed[1]["key"]), (&"often".into(), &"nightly".into()));
    assert_eq!((&listed[1]["name"], &listed[1]["template"]["data"]["a"]), (&"send".into(), &1.into()));
    let text = String::from_utf8(operator(&url, &["schedulers", "list", "mail", "--limit", "1"], "").stdout).unwrap();
    assert!(text.starts_with("ID ") && text.contains("every 60000 ms") && text.lines().count() == 2, "{text}");
    assert!(json(&url, &["schedulers", "repair", "mail"], "").is_empty());

    let (code, message) = failure(&url, &["schedulers", "upsert", "mail", "x", "--pattern", "61 * * * *"], "");
    assert!(code == Some(1) && message.contains("61 * * * *"), "{message}");
    let output = operator(&url, &["schedulers", "remove", "mail", "nightly", "none"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("removed nightly"));
    assert_eq!(json(&url, &["schedulers", "list", "mail"], "").len(), 1);
}

#[tokio::test]
async fn limits_are_set_shown_and_taken_off() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    json(&url, &["enqueue", "mail", "send"], "");
    let set = &json(&url, &["limits", "mail", "--concurrency", "5", "--rate", "100/1000", "--rest", "600000"], "")[0];
    assert_eq!(
        (&set["concurrency"], &set["rateLimit"]["max"], &set["rateLimit"]["duration"]),
        (&5.into(), &100.into(), &1000.into())
    );
    assert!(set["waitMs"].as_u64().is_some_and(|ms| ms > 0 && ms <= 600_000), "{set}");
    let text = String::from_utf8(operator(&url, &["limits", "mail", "--rest", "none"], "").stdout).unwrap();
    assert_eq!(text, "concurrency  5\nrate         100/1000\nnow          jobs start\n");
    let none = &json(&url, &["limits", "mail", "--concurrency", "none", "--rate", "none"], "")[0];
    assert_eq!(*none, serde_json::json!({"concurrency": null, "rateLimit": null, "waitMs": null}));
    assert_eq!(failure(&url, &["limits", "mail", "--rate", "100"], "").0, Some(2));
}

#[tokio::test]
async fn a_redis_that_cannot_be_used_has_its_own_exit_code() {
    let free = operator_testkit::ports::free_port();
    let (code, message) = failure(&format!("redis://127.0.0.1:{free}"), &["queues"], "");
    assert!(code == Some(69) && message.contains("REDIS_URL"), "{message}");
    let (code, message) = failure("localhost:6379", &["queues"], "");
    assert!(code == Some(78) && message.contains("REDIS_URL"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

/// A service that answers one request with `status`.
fn service(status: &'static str) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the socket is bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("operator connects");
        let mut request = [0; 1024];
        let read = stream.read(&mut request).expect("operator asks");
        let asked = String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
        write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\n\r\n{asked}").expect("operator listens");
    });
    address
}

#[test]
fn health_is_yes_no_or_silence() {
    let asked = |status| format!("http://{}/ready?deep=1", service(status));
    let answer = &json("", &["health", &asked("200 OK")], "")[0];
    assert_eq!((&answer["status"], &answer["body"]), (&200.into(), &"GET /ready?deep=1 HTTP/1.0".into()));

    let (code, message) = failure("", &["health", &asked("503 Service Unavailable")], "");
    assert_eq!(code, Some(1), "{message}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let (code, message) = failure("", &["health", &format!("http://{free}/")], "");
    assert_eq!(code, Some(69), "{message}");
    assert!(message.contains(&free.to_string()), "{message}");
}

const INFRA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packs/infra-devops");

/// Nothing of this asks Redis, so nothing is there.
const NOWHERE: &str = "redis://127.0.0.1:1";

#[test]
fn a_pack_is_checked_and_shown_without_a_server() {
    let packs = json(NOWHERE, &["pack", "check", INFRA], "");
    assert_eq!((packs.len(), packs[0]["id"].as_str()), (1, Some("infra-devops")));
    assert_eq!(packs[0]["jobTypes"]["infra.rollback_service"]["defaults"]["priority"], 1);
    let text = operator(NOWHERE, &["pack", "check", INFRA], "").stdout;
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("infra-devops@1.0.0") && text.contains("infra.test_job  command, attempts 1"), "{text}");
    let schema = operator(NOWHERE, &["pack", "schema"], "").stdout;
    assert_eq!(String::from_utf8_lossy(&schema), include_str!("../../../docs/pack.schema.json"));
}

#[test]
fn a_bad_pack_is_named_with_its_lines_and_exit_code_1() {
    let folder = std::env::temp_dir().join(format!("operator-cli-pack-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("pack.yaml"), "id: a\nversion: 1\njobtypes: {}\n").unwrap();
    let output = operator(NOWHERE, &["pack", "check", folder.to_str().unwrap()], "");
    std::fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("pack.yaml:2: version: ") && text.contains("pack.yaml:3: jobtypes: is not known"), "{text}");
}
