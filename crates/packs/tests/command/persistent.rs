//! Programs that run many jobs, one after the other.

use std::time::Duration;

use operator_packs::command::{Command, Persistent};
use operator_packs::{Executor, Rehearsal};
use serde_json::{Value, json};

use crate::bench::{Bench, is_alive, pid_of, run, until};

/// Answers with its process id, the data, or in the ways that the data names.
const SERVES: &str = r"
for line in sys.stdin:
    job = json.loads(line)
    data, id = job['data'], job['id']
    if data == 'pid': say('result', job=id, result=os.getpid())
    elif data == 'crash': os.abort()
    elif data == 'exit': sys.exit(0)
    elif data == 'close': os.close(1); time.sleep(600)
    elif data == 'forge': say('result', job='2', result='forged')
    elif data == 'nameless': say('result', result='nameless')
    elif data == 'twice': say('result', job=id, result=1); say('result', job=id, result=2)
    elif data == 'late': say('result', job=id, result=1); print('between jobs', flush=True)
    elif data == 'fail': say('failure', job=id, message='no luck')
    elif data == 'file': open(job['tmp'] + '/left', 'w').close(); say('result', job=id, result=job['tmp'])
    elif data == 'look': say('result', job=id, result=[job['tmp'], os.listdir(job['tmp'])])
    elif data == 'die idle': say('result', job=id, result=os.getpid()); os._exit(0)
    else: say('result', job=id, result=data)
";

async fn answer(command: &Command, data: Value) -> Value {
    run(command, data).await.0.unwrap().decode().unwrap()
}

async fn failure(command: &Command, data: &str) -> String {
    run(command, json!(data)).await.0.unwrap_err().message
}

#[tokio::test]
async fn one_program_runs_many_jobs() {
    let bench = Bench::new();
    let command = bench.command(bench.python_for_many(SERVES));
    let pid = pid_of(&command).await;
    for number in 0..100 {
        assert_eq!(answer(&command, json!({"n": number})).await, json!({"n": number}));
    }
    assert_eq!(failure(&command, "fail").await, "no luck");
    assert_eq!(pid_of(&command).await, pid);
}

#[tokio::test]
async fn jobs_at_the_same_time_have_programs_of_their_own_up_to_the_limit() {
    let bench = Bench::new();
    let mut spec = bench.python_for_many("for line in sys.stdin:\n    job = json.loads(line)\n    time.sleep(0.01)\n    say('result', job=job['id'], result=os.getpid())");
    spec.persistent = Some(Persistent { processes: 3, ..Persistent::default() });
    let command = bench.command(spec);
    let jobs = (0..30).map(|_| run(&command, json!(null)));
    let results = futures::future::join_all(jobs).await;
    let pids: std::collections::BTreeSet<u32> =
        results.into_iter().map(|(result, _)| result.unwrap().decode().unwrap()).collect();
    assert_eq!(pids.len(), 3);
}

#[tokio::test]
async fn a_program_that_breaks_off_fails_its_job_and_is_replaced() {
    let bench = Bench::new();
    let mut spec = bench.python_for_many(SERVES);
    spec.grace = Duration::from_millis(100);
    let command = bench.command(spec);
    for (data, part) in [
        ("crash", "signal 6 (SIGABRT)"),
        ("exit", "ended with exit code 0 in the middle of the job"),
        ("close", "signal 9 (SIGKILL)"),
        ("forge", "for the job `2`, which is not its"),
        ("nameless", "without the id of its job"),
    ] {
        let pid = pid_of(&command).await;
        let message = failure(&command, data).await;
        assert!(message.contains(part), "{message}");
        assert_ne!(pid_of(&command).await, pid);
        until(|| !is_alive(pid)).await;
    }
}

#[tokio::test]
async fn a_program_that_speaks_without_a_job_or_died_is_replaced_without_harm() {
    let bench = Bench::new();
    let command = bench.command(bench.python_for_many(SERVES));
    for data in ["twice", "die idle"] {
        let pid = pid_of(&command).await;
        answer(&command, json!(data)).await;
        // What it does after its answer is not ordered before the next job.
        until(|| !is_alive(pid) || data == "twice").await;
        let (result, _) = run(&command, json!("pid")).await;
        assert!(result.is_ok_and(|pid_now| pid_now.decode::<u32>().unwrap() != pid) || data == "twice");
    }
    answer(&command, json!("late")).await;
    assert!(run(&command, json!(1)).await.0.is_ok());
}

#[tokio::test]
async fn each_job_finds_its_folder_empty() {
    let bench = Bench::new();
    let command = bench.command(bench.python_for_many(SERVES));
    let first = answer(&command, json!("look")).await;
    assert_eq!(answer(&command, json!("look")).await, first, "a clean folder is used again");
    let left = answer(&command, json!("file")).await;
    assert_eq!(left, first[0]);
    let second = answer(&command, json!("look")).await;
    assert!(second[0] != left && second[1] == json!([]), "{second}");
    assert!(!std::path::Path::new(left.as_str().unwrap()).exists());
}

#[tokio::test]
async fn a_program_is_replaced_after_its_jobs_and_stopped_without_any() {
    let bench = Bench::new();
    let mut spec = bench.python_for_many(SERVES);
    spec.persistent = Some(Persistent { processes: 1, idle: Duration::from_millis(40), max_jobs: 2 });
    let command = bench.command(spec);
    let pids = [pid_of(&command).await, pid_of(&command).await, pid_of(&command).await];
    assert_ne!(pids[1], pids[2]);
    until(|| !pids.iter().any(|pid| is_alive(*pid))).await;
    assert!(pid_of(&command).await > 0);
}

#[tokio::test]
async fn the_programs_end_with_their_job_type() {
    let bench = Bench::new();
    let command = bench.command(bench.python_for_many(SERVES));
    let pid = pid_of(&command).await;
    let rehearsal = Rehearsal::of("pack.work", json!(1));
    assert!(command.execute(rehearsal.context()).await.is_ok());
    drop(command);
    until(|| !is_alive(pid)).await;
}

#[tokio::test]
async fn processor_time_is_counted_for_each_job_and_not_for_all_together() {
    let bench = Bench::new();
    let busy = "for line in sys.stdin:\n    job, end = json.loads(line), time.process_time()\n    end += job['data']\n    while time.process_time() < end: pass\n    say('result', job=job['id'])";
    let mut spec = bench.python_for_many(busy);
    spec.limits.cpu_seconds = 1;
    let command = bench.command(spec);
    for _ in 0..3 {
        assert!(run(&command, json!(0.6)).await.0.is_ok());
    }
    let failure = run(&command, json!(600)).await.0.unwrap_err();
    assert!(failure.message.contains("used more processor time than the 1 s it may"), "{}", failure.message);
}
