//! The events stream of a queue as a journal: what happened, in which order, and when by the server's clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::rig::Rig;

/// One event.
pub(crate) struct Entry {
    /// The server's clock when it happened, epoch milliseconds.
    pub(crate) at_ms: u64,
    pub(crate) event: String,
    pub(crate) job: String,
    pub(crate) fields: BTreeMap<String, String>,
}

/// Every event of the rig's queue.
pub(crate) async fn journal(rig: &Rig) -> Vec<Entry> {
    let entries = rig.raw.call(&["XRANGE", "bull:q:events", "-", "+"]).await;
    entries.list().iter().map(read).collect()
}

fn read(entry: &operator_testkit::redis::Reply) -> Entry {
    let fields = entry.list()[1].map();
    let id = entry.list()[0].text();
    Entry {
        at_ms: id.split('-').next().unwrap().parse().unwrap(),
        event: fields["event"].clone(),
        job: fields.get("jobId").cloned().unwrap_or_default(),
        fields,
    }
}

/// When jobs started, in order.
pub(crate) fn starts(journal: &[Entry]) -> Vec<u64> {
    journal.iter().filter(|entry| entry.event == "active").map(|entry| entry.at_ms).collect()
}

/// The words of one job.
pub(crate) fn words<'a>(journal: &'a [Entry], job: &str) -> Vec<&'a str> {
    journal.iter().filter(|entry| entry.job == job).map(|entry| entry.event.as_str()).collect()
}

/// The most jobs that ran at a time: whatever follows a job's start ends its run, except reports.
pub(crate) fn most_at_a_time(journal: &[Entry]) -> usize {
    let mut running = BTreeSet::new();
    let mut most = 0;
    for entry in journal {
        match entry.event.as_str() {
            "active" => running.insert(entry.job.as_str()),
            "progress" => false,
            _ => running.remove(entry.job.as_str()),
        };
        most = most.max(running.len());
    }
    most
}
