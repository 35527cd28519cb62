//! A child process: its lines, its environment, its end.

use operator_testkit::process::Process;

fn shell(script: &str) -> operator_testkit::process::ProcessBuilder {
    Process::builder("sh").arg("-c").arg(script)
}

#[tokio::test]
async fn lines_of_both_streams_can_be_waited_for() {
    let mut process = shell("echo one; echo two >&2; echo three").start();
    assert_eq!(process.wait_for_line("the last line", |line| line.starts_with("th")).await, "three");
    assert_eq!(process.wait_for_line("a line of stderr", |line| line == "two").await, "two");
    assert_eq!(process.wait_exit().await, Some(0));
    assert_eq!(process.lines().len(), 3);
}

#[tokio::test]
#[should_panic(expected = "sh ended without printing: a greeting")]
async fn waiting_for_a_line_that_cannot_come_fails_at_once() {
    let process = shell("echo bye").start();
    process.wait_for_line("a greeting", |line| line == "hello").await;
}

#[tokio::test]
async fn only_the_given_environment_reaches_the_child() {
    let process = shell("echo \"[$OPERATOR_GIVEN][$CARGO_PKG_NAME]\"").env("OPERATOR_GIVEN", "yes").start();
    assert_eq!(process.wait_for_line("the variables", |line| line.starts_with('[')).await, "[yes][]");
}

#[tokio::test]
async fn a_child_is_asked_to_end_and_says_how_it_did() {
    let mut process = shell("trap 'exit 7' TERM; echo ready; while :; do read line < /dev/null; done").start();
    process.wait_for_line("ready", |line| line == "ready").await;
    process.terminate();
    assert_eq!(process.wait_exit().await, Some(7));
}

#[tokio::test]
async fn a_killed_child_has_no_exit_code() {
    let mut process = shell("echo ready; exec sleep 600").start();
    process.wait_for_line("ready", |line| line == "ready").await;
    process.kill9().await;
    assert_eq!(process.wait_exit().await, None);
    assert_eq!(process.id(), None);
}
