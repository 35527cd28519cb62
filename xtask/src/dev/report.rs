//! The table at the end of a run, and where to look next.

use std::collections::BTreeMap;
use std::time::Duration;

use operator_core::JobStatus;
use serde_json::Value;

use super::child::wait_for;
use super::follow::Run;
use super::http;
use super::interrupt::Interrupt;
use super::services::{QUEUE, Services};
use crate::failure::Result;

/// The most pages of jobs that are counted: far above what a run makes, and an end for a queue that never had one.
const MAX_PAGES: usize = 200;

/// How many jobs of one name have which status.
type Table = BTreeMap<String, BTreeMap<String, u64>>;

/// How long the last results may take to reach the database.
const HISTORY_LIMIT: Duration = Duration::from_secs(30);

/// Prints what came of the jobs, and says whether all completed and all results are in the database.
pub(super) fn print(services: &Services, redis_url: &str, run: &Run, interrupt: &Interrupt) -> Result<bool> {
    let ended = run.completed + run.failed;
    let complete = wait_for(HISTORY_LIMIT, || {
        interrupt.check()?;
        let table = count(services, &run.began_at)?;
        Ok((recorded(&table) >= ended).then_some(table))
    })?;
    let all_recorded = complete.is_some();
    let table = complete.map_or_else(|| count(services, &run.began_at), Ok)?;
    let statuses = shown_statuses(&table);
    print!("\n{:<16}", "");
    statuses.iter().for_each(|status| print!("{status:>12}"));
    println!();
    for (name, counts) in &table {
        print!("{name:<16}");
        statuses.iter().for_each(|status| print!("{:>12}", counts.get(*status).unwrap_or(&0)));
        println!();
    }

    if !all_recorded {
        println!("\nOnly {} results have reached the database.", recorded(&table));
    }
    let seconds = run.took.as_secs_f64();
    println!("\n{ended} jobs ended in {seconds:.1} s ({:.0}/s, with their delays and retries)", ended as f64 / seconds);
    print_places(services, redis_url);
    Ok(run.failed == 0 && all_recorded)
}

fn print_places(services: &Services, redis_url: &str) {
    let dispatcher = &services.dispatcher;
    println!("\nWhere to look:");
    for (what, path) in [("API", "/docs"), ("queues", "/queues"), ("jobs", "/jobs"), ("metrics", "/metrics")] {
        println!("   {what:<10} {dispatcher}{path}");
    }
    for worker in &services.workers {
        println!("   {:<10} {worker}/metrics", "worker");
    }
    println!("   {:<10} {}", "results", services.database);
    println!("   {:<10} {}", "Redis", without_password(redis_url));
    println!("   {:<10} .operator/logs/", "logs");
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

/// Pages through the jobs of the queue: unfinished ones as Redis has them, finished ones as the database does.
fn count(services: &Services, since: &str) -> Result<Table> {
    let mut table = Table::new();
    let first = format!("{}/jobs?queue={QUEUE}&limit=200", services.dispatcher);
    let mut next = Some(first.clone());
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { break };
        let page = http::get(&url)?;
        add_page(&mut table, &page, since);
        next = page["nextCursor"].as_str().map(|cursor| format!("{first}&cursor={cursor}"));
    }
    Ok(table)
}

/// Counts the jobs of a page that were created since the run began. Times in ISO form are ordered like their text.
fn add_page(table: &mut Table, page: &Value, since: &str) {
    for job in page["jobs"].as_array().into_iter().flatten() {
        let text = |field: &str| job[field].as_str().unwrap_or_default().to_owned();
        if text("createdAt").as_str() >= since {
            *table.entry(text("name")).or_default().entry(text("status")).or_default() += 1;
        }
    }
}

/// How many jobs have ended and are in the database.
fn recorded(table: &Table) -> u64 {
    let ended = [JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled];
    table.values().flat_map(|counts| ended.iter().filter_map(|status| counts.get(status.as_str()))).sum()
}

/// The statuses that some job has, in the order people expect, and always the two that end a job.
fn shown_statuses(table: &Table) -> Vec<&'static str> {
    let always = [JobStatus::Completed, JobStatus::Failed];
    let some_job_is = |status: &JobStatus| table.values().any(|counts| counts.contains_key(status.as_str()));
    JobStatus::ALL
        .iter()
        .filter(|status| always.contains(status) || some_job_is(status))
        .map(|status| status.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(without_password("redis://user:p@ss@host:1/2"), "redis://host:1/2");
        assert_eq!(without_password("redis://host:1"), "redis://host:1");
    }

    #[test]
    fn jobs_of_earlier_runs_are_left_out() {
        let job = |status: &str, created_at: &str| json!({"name": "a", "status": status, "createdAt": created_at});
        let page =
            json!({"jobs": [job("completed", "2026-01-02"), job("active", "2026-01-03"), job("failed", "2026-01-01")]});
        let mut table = Table::new();
        add_page(&mut table, &page, "2026-01-02");
        assert_eq!((recorded(&table), table["a"].len()), (1, 2));
    }

    #[test]
    fn statuses_without_jobs_are_left_out_of_the_table() {
        let table = Table::from([("a".to_owned(), BTreeMap::from([("active".to_owned(), 1)]))]);
        assert_eq!(shown_statuses(&table), ["active", "completed", "failed"]);
    }
}
