//! The example jobs: made from what is really here, so that their results mean something.

use std::fs;

use serde_json::{Value, json};

use super::endpoints;
use super::services::{QUEUE, Services};
use crate::failure::{Failure, Result};
use crate::workspace;

/// How many jobs fail their first attempts.
const FLAKY: u64 = 12;

/// The priorities some jobs get; the lowest number goes first.
const PRIORITIES: [u64; 3] = [1, 10, 100];

/// One job per endpoint of the services, one per package we are built from, and some that need several attempts.
/// Each is a line of the producer: `{queue, name, data, opts}`.
pub(super) fn make(services: &Services) -> Result<Vec<Value>> {
    let path = workspace::root().join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(Failure::file(path))?;
    let mut jobs: Vec<Value> = endpoints::of(services)?.iter().map(|url| call(url)).collect();
    jobs.extend(packages(&lock).into_iter().zip(0..).map(|(package, index)| echo(package, index)));
    jobs.extend((0..FLAKY).map(flaky));
    Ok(jobs)
}

fn job(name: &str, data: Value, opts: Value) -> Value {
    json!({"queue": QUEUE, "name": name, "data": data, "opts": opts})
}

fn call(url: &str) -> Value {
    let opts = json!({"attempts": 3, "backoff": {"type": "exponential", "delay": 200}});
    job("system.http", json!({"method": "GET", "url": url, "expectStatus": 200}), opts)
}

/// Every seventh job is delayed, by 0.3 to 2 s; every fifth of the others has a priority.
fn echo(package: Value, index: usize) -> Value {
    let opts = if index.is_multiple_of(7) {
        json!({"delay": 300 + index * 37 % 1700})
    } else if index.is_multiple_of(5) {
        json!({"priority": PRIORITIES[index / 5 % PRIORITIES.len()]})
    } else {
        json!({})
    };
    job("system.echo", package, opts)
}

/// Fails once, twice or three times, and has one attempt more than that.
fn flaky(index: u64) -> Value {
    let failures = index % 3 + 1;
    let kind = if index.is_multiple_of(2) { "fixed" } else { "exponential" };
    let opts = json!({"attempts": failures + 1, "backoff": {"type": kind, "delay": 100}});
    job("system.flaky", json!({"failures": failures}), opts)
}

/// Name, version and checksum of every package in a lock file.
fn packages(lock: &str) -> Vec<Value> {
    let field = |package: &str, name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    let package = |text: &str| json!({"name": field(text, "name"), "version": field(text, "version"), "checksum": field(text, "checksum")});
    packages.map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_and_without_checksum() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ff\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let expected = [
            json!({"name": "a", "version": "1.0.0", "checksum": "ff"}),
            json!({"name": "b", "version": "2.0.0", "checksum": null}),
        ];
        assert_eq!(packages(lock), expected);
    }

    #[test]
    fn a_flaky_job_may_try_once_more_than_it_fails() {
        for index in 0..FLAKY {
            let job = flaky(index);
            assert_eq!(job["opts"]["attempts"], job["data"]["failures"].as_u64().unwrap() + 1);
        }
    }

    #[test]
    fn some_packages_are_delayed_and_some_prioritized() {
        let opts: Vec<Value> = (0..20).map(|index| echo(json!({}), index)["opts"].clone()).collect();
        assert!(opts.iter().any(|opts| opts["delay"].as_u64().is_some_and(|delay| (300..2000).contains(&delay))));
        assert!(opts.iter().any(|opts| opts["priority"].is_u64()));
        assert!(opts.contains(&json!({})));
    }
}
