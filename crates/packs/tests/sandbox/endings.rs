//! Nothing of a program survives its end, whatever it did.

use std::process::Command;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harness::{Bench, end, is_alive, is_empty, until};

/// A grandchild that did all it could to get away: two forks, a session of its own, deaf to polite signals.
const RUNAWAY: &str = "import os, signal, sys, time\n\
    for name in ('SIGTERM', 'SIGHUP', 'SIGINT'): signal.signal(getattr(signal, name), signal.SIG_IGN)\n\
    if os.fork() == 0:\n\
    \x20   try: os.setsid()\n\
    \x20   except OSError: pass\n\
    \x20   if os.fork() == 0:\n\
    \x20       print(os.getpid(), flush=True)\n\
    \x20       while True: time.sleep(1)\n\
    \x20   os._exit(0)\n\
    os.wait()\n";

#[tokio::test]
async fn a_grandchild_that_was_left_behind_is_ended_with_the_program() {
    let bench = Bench::new();
    let ended = bench.python(RUNAWAY).await;
    assert!(ended.exit.left_others && ended.exit.status.success(), "{ended:?}");
    until(|| !is_alive(ended.out.parse().unwrap())).await;
    let ended = bench.shell("true").await;
    assert!(!ended.exit.left_others);
}

#[tokio::test]
async fn a_dropped_process_ends_with_all_it_started() {
    let bench = Bench::new();
    let mut process = bench.start(bench.script("python3", &format!("{RUNAWAY}time.sleep(600)\n"))).await.unwrap();
    let line = BufReader::new(process.take_stdout()).lines().next_line().await.unwrap().unwrap();
    let pid: u32 = line.parse().unwrap();
    assert!(is_alive(pid));
    drop(process);
    until(|| !is_alive(pid) && is_empty(bench.sandbox.folder())).await;
}

#[tokio::test]
async fn a_program_that_ignores_polite_signals_is_ended_by_the_other() {
    let bench = Bench::new();
    let mut process =
        bench.start(bench.script("sh", "trap '' TERM; echo on; while :; do sleep 1; done")).await.unwrap();
    let mut lines = BufReader::new(process.take_stdout()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "on");
    process.ask_to_end();
    assert!(process.is_running());
    process.kill();
    let exit = process.wait().await.unwrap();
    assert_eq!(exit.to_string(), "was ended by signal 9 (SIGKILL)");
}

#[tokio::test]
async fn a_polite_signal_lets_a_program_tidy_up() {
    let bench = Bench::new();
    let text = "trap 'echo tidy; exit 7' TERM; echo on; while :; do sleep 0.01; done";
    let mut process = bench.start(bench.script("sh", text)).await.unwrap();
    let mut lines = BufReader::new(process.take_stdout()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "on");
    process.ask_to_end();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "tidy");
    assert_eq!(process.wait().await.unwrap().to_string(), "ended with exit code 7");
}

/// The worker of the test below, in a process of its own; nothing when the tests run as usual.
#[tokio::test]
async fn a_worker_that_will_be_killed() {
    if std::env::var_os("OPERATOR_TEST_WORKER").is_none() {
        return;
    }
    let bench = Bench::new();
    let text = format!("{RUNAWAY}print(os.getpid(), flush=True)\ntime.sleep(600)\n");
    let process = bench.start(bench.script("python3", &text)).await.unwrap();
    println!("folder {}", bench.sandbox.folder().display());
    let mut process = process;
    let mut lines = BufReader::new(process.take_stdout()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        println!("pid {line}");
    }
    end(process).await;
}

#[tokio::test]
async fn nothing_survives_a_worker_that_is_killed() {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(own);
    command.args(["a_worker_that_will_be_killed", "--nocapture"]).env("OPERATOR_TEST_WORKER", "1");
    let mut worker = tokio::process::Command::from(command).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let (mut folder, mut pids) = (None, Vec::new());
    while pids.len() < 2 {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, path)) = line.split_once("folder ") {
            folder = Some(std::path::PathBuf::from(path));
        } else if let Some((_, pid)) = line.split_once("pid ") {
            pids.push(pid.parse::<u32>().unwrap());
        }
    }
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    worker.start_kill().unwrap();
    worker.wait().await.unwrap();
    let folder = folder.unwrap();
    until(|| !pids.iter().any(|pid| is_alive(*pid)) && !folder.exists()).await;
    // The pack of the test itself is nobody's to remove but its own.
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
}
