//! Programs that say more than they may: each is ended, the failure says why, and the next job runs.

use operator_core::FailureKind;
use operator_packs::command::Bounds;
use operator_packs::sandbox::Limits;
use serde_json::json;

use crate::bench::{Bench, run};

/// Runs a job of a hostile program, once and as one of many, and then an innocent one.
async fn contained(text: &str, part: &str) {
    contained_within(text, part, Bounds::default()).await;
}

async fn contained_within(text: &str, part: &str, bounds: Bounds) {
    let bench = Bench::new();
    let many = format!("job = json.loads(sys.stdin.readline())['id']\n{text}");
    for mut spec in [bench.python(&many), bench.python_for_many(&many)] {
        spec.bounds = bounds.clone();
        let failure = bench.run(spec).await.0.unwrap_err();
        assert!(failure.message.contains(part), "{}", failure.message);
        assert_eq!(failure.kind, FailureKind::Retryable);
    }
    let (result, rehearsal) = run(&bench.command(bench.shell("echo fine")), json!(null)).await;
    assert_eq!((result.is_ok(), rehearsal.logs()), (true, vec!["fine".to_owned()]));
}

#[tokio::test]
async fn a_gigabyte_of_output_is_cut_off() {
    contained("for _ in range(1 << 20): print('x' * 1023)", "logged more than the 1000 lines it may").await;
    contained("while True: sys.stdout.write('x' * 65536)", "printed a line longer than the 1024 KiB it may").await;
    contained("for _ in range(1 << 20): print('x' * 1023, file=sys.stderr)", "printed more than the 4096 KiB it may")
        .await;
    let talk = "while True: say('progress', progress='x' * 1000, job=job)";
    contained(talk, "printed more than the 4096 KiB it may").await;
}

#[tokio::test]
async fn a_result_and_children_are_bounded() {
    let bounds = || Bounds { result_bytes: 10 << 10, children: 3, ..Bounds::default() };
    let large = "say('result', result='x' * 20_000, job=job)";
    contained_within(large, "gave a result larger than the 10 KiB it may", bounds()).await;
    let many = "for _ in range(10): say('child', name='a', data=1, job=job)\ntime.sleep(600)";
    contained_within(many, "added more than the 3 jobs it may", bounds()).await;
}

#[tokio::test]
async fn messages_that_are_none_are_refused() {
    let raw = |line: &str| format!("print({line:?}, flush=True)\ntime.sleep(600)");
    for (line, part) in [
        (r#"{"operator":"dance"}"#, "there is no message `dance`"),
        (r#"{"operator":"result","result":}"#, "sent a message that is none"),
        (r#"{"operator":"progress","progress":1,"progress":2}"#, "duplicate field"),
        (r#"{"operator":["result"]}"#, "sent a message that is none"),
        (r#"{"operator":"result","job":"2","result":"forged"}"#, "for the job `2`, which is not its"),
    ] {
        contained(&raw(line), part).await;
    }
    let deep =
        "print('{\"operator\":\"progress\",\"job\":\"1\",\"progress\":' + '[' * 100_000, flush=True)\ntime.sleep(600)";
    contained(deep, "sent a message that is none").await;
}

#[tokio::test]
async fn what_the_sandbox_stops_is_explained_in_the_failure() {
    let bench = Bench::new();
    let limits = || Limits { memory_bytes: 150 << 20, processes: 20, cpu_seconds: 2, ..Limits::default() };
    for (text, part) in [
        ("bytearray(10 << 30)", "MemoryError"),
        ("open('/etc/shadow')", "Permission denied: '/etc/shadow'"),
        (&format!("open('/proc/{}/environ')", std::process::id()), "Permission denied"),
        ("open('/etc/new', 'w')", "Permission denied: '/etc/new'"),
        ("import socket; socket.create_connection(('127.0.0.1', 80))", "PermissionError"),
        ("os.setsid()", "PermissionError"),
        ("while True: pass", "more processor time"),
    ] {
        let mut spec = bench.python(text);
        spec.limits = limits();
        let failure = bench.run(spec).await.0.unwrap_err();
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    let mut spec = bench.python(
        "for _ in range(3):\n    if os.fork() == 0: break\nblock = bytearray(b'x') * (100 << 20)\ntime.sleep(600)",
    );
    spec.limits = limits();
    let failure = bench.run(spec).await.0.unwrap_err();
    assert!(failure.message.contains("used more memory than the 150 MiB it may"), "{}", failure.message);
}

#[tokio::test]
async fn a_grandchild_left_behind_is_noted_in_the_log() {
    let bench = Bench::new();
    let (result, rehearsal) = bench.run(bench.shell("sleep 600 & echo '{\"operator\":\"result\",\"result\":1}'")).await;
    assert_eq!(result.unwrap().as_str(), "1");
    assert!(rehearsal.logs()[0].ends_with("left processes behind, which were ended"), "{:?}", rehearsal.logs());
}
