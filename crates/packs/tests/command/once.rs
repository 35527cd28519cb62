//! Programs that run one job each.

use std::time::Duration;

use operator_core::{Failure, FailureKind};
use operator_packs::Move;
use serde_json::{Value, json};

use crate::bench::Bench;

#[tokio::test]
async fn a_shell_script_reports_logs_and_answers() {
    let bench = Bench::new();
    let text = r#"read -r job
        echo working on it
        echo '{"operator":"progress","progress":50}'
        echo '{"operator":"log","line":"half way"}'
        echo "on standard error" >&2
        echo "{\"operator\":\"result\",\"result\":{\"home\":\"$HOME\"}}""#;
    let (result, rehearsal) = bench.run(bench.shell(text)).await;
    let result: Value = result.unwrap().decode().unwrap();
    assert!(result["home"].as_str().unwrap().starts_with(bench.sandbox.folder().to_str().unwrap()));
    assert_eq!(rehearsal.logs(), ["working on it", "half way"]);
    assert_eq!(rehearsal.progress()[0].as_str(), "50");
}

#[tokio::test]
async fn a_job_is_told_with_all_that_it_is() {
    let bench = Bench::new();
    let text =
        "job = json.load(sys.stdin)\nopen(job['tmp'] + '/x', 'w').write('x')\nsay('result', result=job, job=job['id'])";
    let (result, _) = bench.run(bench.python(text)).await;
    let job: Value = result.unwrap().decode().unwrap();
    let expected = json!({
        "operator": "job", "protocol": 1, "id": "1", "queue": "rehearsal", "name": "pack.work", "data": {"n": 1},
        "attempt": 1, "maxAttempts": 1, "timestamp": 0, "tmp": job["tmp"]
    });
    assert_eq!(job, expected);
}

#[tokio::test]
async fn a_program_with_nothing_to_tell_succeeds_with_null() {
    let bench = Bench::new();
    let (result, rehearsal) = bench.run(bench.shell("echo done")).await;
    assert_eq!((result.unwrap().as_str(), rehearsal.logs()), ("null", vec!["done".to_owned()]));
}

#[tokio::test]
async fn a_large_job_that_nobody_reads_and_a_large_answer_do_not_block_each_other() {
    let bench = Bench::new();
    let text = "print('x' * 400_000)\njob = json.load(sys.stdin)\nsay('result', result=len(job['data']))";
    let command = bench.command(bench.python(text));
    let (result, _) = crate::bench::run(&command, json!("y".repeat(500_000))).await;
    assert_eq!(result.unwrap().as_str(), "500000");
    let command = bench.command(bench.shell("true"));
    let (result, _) = crate::bench::run(&command, json!("y".repeat(500_000))).await;
    assert_eq!(result.unwrap().as_str(), "null");
}

/// The failure of a job that a shell script runs.
async fn failure(bench: &Bench, text: &str) -> (Failure, Vec<Move>) {
    let (result, rehearsal) = bench.run(bench.shell(text)).await;
    (result.unwrap_err(), rehearsal.moves())
}

#[tokio::test]
async fn an_exit_code_decides_what_follows_from_a_failure() {
    let bench = Bench::new();
    let (told, _) = failure(&bench, "echo first >&2; echo 'bad: no such thing' >&2; exit 3").await;
    assert_eq!(told.kind, FailureKind::Retryable);
    assert!(told.message.ends_with("ended with exit code 3: bad: no such thing"), "{}", told.message);
    assert_eq!(told.stack, ["first", "bad: no such thing"]);
    assert_eq!(failure(&bench, "exit 65").await.0.kind, FailureKind::Unrecoverable);
    let half_a_minute = Duration::from_secs(30);
    assert_eq!(failure(&bench, "exit 75").await, (Failure::moved(), vec![Move::After(half_a_minute)]));
    assert_eq!(failure(&bench, "exit 69").await, (Failure::moved(), vec![Move::RateLimited(half_a_minute)]));
    let (told, _) = failure(&bench, r#"echo '{"operator":"result","result":1}'; exit 1"#).await;
    assert!(told.message.contains("exit code 1"), "{}", told.message);
    let (told, _) = failure(&bench, "kill -SEGV $$").await;
    assert!(told.message.contains("signal 11 (SIGSEGV)"), "{}", told.message);
}

#[tokio::test]
async fn a_message_of_failure_decides_more_finely() {
    let bench = Bench::new();
    let say = |rest: &str| format!(r#"echo '{{"operator":"failure","message":"no luck"{rest}}}'"#);
    let (told, _) = failure(&bench, &say("")).await;
    assert_eq!((told.message.as_str(), told.kind), ("no luck", FailureKind::Retryable));
    assert_eq!(failure(&bench, &say(r#","retryable":false"#)).await.0.kind, FailureKind::Unrecoverable);
    let moved = failure(&bench, &say(r#","retryAfterMs":1500"#)).await;
    assert_eq!(moved, (Failure::moved(), vec![Move::After(Duration::from_millis(1500))]));
    let moved = failure(&bench, &say(r#","rateLimitedMs":70"#)).await;
    assert_eq!(moved, (Failure::moved(), vec![Move::RateLimited(Duration::from_millis(70))]));
}

#[tokio::test]
async fn a_job_adds_children_and_waits_for_them() {
    let bench = Bench::new();
    let text = "say('child', name='part', data={'n': 1}, queue='parts', opts={'jobId': 'p1'})\n\
        say('child', name='part', data={'n': 2})\nsay('data', data={'step': 2})\nsay('wait')";
    let (result, rehearsal) = bench.run(bench.python(text)).await;
    assert_eq!((result, rehearsal.moves()), (Err(Failure::moved()), vec![Move::WaitingChildren]));
    let children = rehearsal.children();
    let told: Vec<_> = children.iter().map(|(queue, child)| (queue.as_str(), child.data.as_str())).collect();
    assert_eq!(told, [("parts", r#"{"n": 1}"#), ("rehearsal", r#"{"n": 2}"#)]);
    assert_eq!(rehearsal.data_updates()[0].as_str(), r#"{"step": 2}"#);
}

#[tokio::test]
async fn a_program_that_does_not_end_after_its_result_is_ended_and_has_succeeded() {
    let bench = Bench::new();
    let mut spec =
        bench.shell("trap '' TERM; echo '{\"operator\":\"result\",\"result\":7}'; while :; do sleep 1; done");
    spec.grace = Duration::from_millis(100);
    assert_eq!(bench.run(spec).await.0.unwrap().as_str(), "7");
}
