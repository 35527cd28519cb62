//! Jobs that are given up.

use std::time::Duration;

use operator_packs::{Executor, Rehearsal};
use serde_json::json;

use crate::bench::{Bench, is_alive, run, until};

/// Says its process id by its progress, and how it was told to stop by a file.
const WAITS: &str = "say('progress', progress=os.getpid())\nwhile True: time.sleep(1)";

async fn begun(rehearsal: &Rehearsal) -> u32 {
    until(|| !rehearsal.progress().is_empty()).await;
    rehearsal.progress()[0].decode().unwrap()
}

#[tokio::test]
async fn a_cancelled_job_may_tidy_up_and_is_over_then() {
    let bench = Bench::new();
    let place = tempfile::tempdir().unwrap();
    let mut spec = bench.python(&format!(
        "def stop(*_):\n    open('{}/tidy', 'w').close()\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, stop)\n{WAITS}",
        place.path().display()
    ));
    spec.grants.write = vec![place.path().to_owned()];
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let command = bench.command(spec);
    let rehearsal = Rehearsal::of("pack.work", json!(null));
    let running = tokio::spawn(command.execute(rehearsal.context()));
    let pid = begun(&rehearsal).await;
    rehearsal.cancel();
    let failure = running.await.unwrap().unwrap_err();
    assert!(failure.message.contains("was stopped before its end"), "{}", failure.message);
    assert!(!is_alive(pid) && place.path().join("tidy").exists());
}

#[tokio::test]
async fn a_cancelled_job_that_ignores_it_is_ended_after_its_grace() {
    let bench = Bench::new();
    let mut spec = bench.python(&format!("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAITS}"));
    spec.grace = Duration::from_millis(50);
    let command = bench.command(spec);
    let rehearsal = Rehearsal::of("pack.work", json!(null));
    let running = tokio::spawn(command.execute(rehearsal.context()));
    let pid = begun(&rehearsal).await;
    rehearsal.cancel();
    running.await.unwrap().unwrap_err();
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_job_whose_future_is_dropped_leaves_no_process() {
    let bench = Bench::new();
    let command = bench.command(bench.python(WAITS));
    let rehearsal = Rehearsal::of("pack.work", json!(null));
    let running = tokio::spawn(command.execute(rehearsal.context()));
    let pid = begun(&rehearsal).await;
    running.abort();
    until(|| !is_alive(pid)).await;
}

#[test]
fn a_runtime_that_ends_leaves_no_process() {
    let bench = Bench::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let command = bench.command(bench.python(&format!("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAITS}")));
    let rehearsal = Rehearsal::of("pack.work", json!(null));
    runtime.spawn(command.execute(rehearsal.context()));
    let pid = runtime.block_on(begun(&rehearsal));
    runtime.shutdown_background();
    let waiting = tokio::runtime::Runtime::new().unwrap();
    waiting.block_on(until(|| !is_alive(pid)));
}

#[tokio::test]
async fn a_job_that_waits_for_a_program_can_be_cancelled() {
    let bench = Bench::new();
    let many = "for line in sys.stdin:\n    say('progress', progress=os.getpid(), job=json.loads(line)['id'])\n    time.sleep(600)";
    let mut spec = bench.python_for_many(many);
    spec.grace = Duration::from_millis(50);
    let command = bench.command(spec);
    let (first, second) = (Rehearsal::of("pack.work", json!(null)), Rehearsal::of("pack.work", json!(null)));
    let running = tokio::spawn(command.execute(first.context()));
    let pid = begun(&first).await;
    let waiting = tokio::spawn(command.execute(second.context()));
    second.cancel();
    waiting.await.unwrap().unwrap_err();
    assert!(is_alive(pid), "the other job is not concerned");
    first.cancel();
    running.await.unwrap().unwrap_err();
    assert!(!is_alive(pid));
    assert!(run(&bench.command(bench.shell("true")), json!(null)).await.0.is_ok());
}
