//! Signals sent to a real process: this one. Alone in its file, because signals reach every test of a process.
#![cfg(unix)]

use std::process::Command;

use operator_telemetry::Signals;
use tokio_util::sync::CancellationToken;

fn send(signal: &str) {
    let pid = std::process::id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().expect("the program kill").success());
}

#[tokio::test]
async fn the_first_signal_stops_and_the_second_aborts() {
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let watched = tokio::spawn(Signals::install().unwrap().cancel(stop.clone(), abort.clone()));
    send("-TERM");
    stop.cancelled().await;
    assert!(!abort.is_cancelled());
    send("-INT");
    abort.cancelled().await;
    watched.await.unwrap();
}
