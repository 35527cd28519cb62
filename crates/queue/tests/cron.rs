//! Cron patterns beside BullMQ: the same slots for every pattern, zone and clock change, and the same refusals.

use operator_core::schedule::next_cron;
use operator_testkit::NodePeer;
use serde_json::{Value, json};

const PATTERNS: &[&str] = &[
    "* * * * *",
    "* * * * * *",
    "*/5 * * * *",
    "*/7 * * * * *",
    "0 * * * *",
    "30 2 * * *",
    "15,45 2 * * *",
    "0 0 2 * * *",
    "0 3 * * *",
    "0 0 * * *",
    "59 23 * * *",
    "0 */2 * * *",
    "0 1-4 * * *",
    "30 1-3/2 * * *",
    "10/20 * * * *",
    "0 2/3 * * *",
    "5-20/5,50 8 * * *",
    "0 12 * * MON-FRI",
    "0 12 * * 0",
    "0 12 * * 7",
    "0 12 * * sun,WED",
    "0 12 * * 5-7",
    "0 12 * * 1-7/2",
    "0 12 * * 5L",
    "0 12 * * 1,5L",
    "0 12 * * 7L",
    "0 12 * * fri#2",
    "0 12 * * 1#5",
    "0 12 * * *#3",
    "0 12 L * *",
    "0 12 1,L * *",
    "0 12 L 2 *",
    "0 12 15 * *",
    "0 12 31 * *",
    "0 12 29 2 *",
    "0 12 30 4-6 *",
    "0 12 29-31 * ?",
    "0 12 ? * 2",
    "0 12 13 * 5",
    "0 12 */10 * 1",
    "0 12 1 jan,JUL *",
    "0 12 1 */4 *",
    "0 0 1 1 *",
    "0 30 2 31 3 *",
    "0 30 2 27 10 *",
    "30 59 23 31 12 *",
    "0 0 0 1 1 *",
    "1-5 * * * * *",
    "0 0 1 2 6",
    "0 0 * 2 *",
    "0 4 * 3,10 0",
    "30 0 * * *",
    "0-59/30 0-5 * * *",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@hourly",
    "@minutely",
    "@secondly",
    "@weekdays",
    "@weekends",
    "* * *",
    "5",
    "1* * * * *",
    // Refused by both.
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "1,1 * * * *",
    "1-5,3 * * * *",
    "0 0 * * 0,7",
    "0 0 31 4 *",
    "22-2 * * * *",
    "*/0 * * * *",
    "* * * * monday",
    "* * * * 1#6",
    "@midnight",
    "1 2 3 4 5 6 7",
    "a * * * *",
];

/// Ordinary days, and ends of months and years.
const TIMES: [&str; 3] = ["2023-11-14T22:13:20.500Z", "2024-02-28T23:59:59Z", "2024-12-31T23:59:59.999Z"];

/// Zones with times before, in and behind their clock changes.
const ZONES: [(&str, &[&str]); 7] = [
    ("UTC", &["2025-06-30T12:00:00Z"]),
    (
        "Europe/Berlin",
        &["2024-03-31T00:30:00Z", "2024-03-31T01:10:00Z", "2024-10-27T00:15:00Z", "2024-10-27T01:15:00Z"],
    ),
    ("America/New_York", &["2024-03-10T06:45:00Z", "2024-11-03T05:20:00Z", "2024-11-03T06:20:00Z"]),
    ("Australia/Lord_Howe", &["2024-04-06T14:50:00Z", "2024-10-05T15:10:00Z"]),
    ("America/Santiago", &["2024-09-08T03:30:00Z", "2024-04-07T02:30:00Z"]),
    ("Asia/Kolkata", &[]),
    ("UTC+5:30", &[]),
];

#[tokio::test]
async fn every_pattern_is_due_when_bullmq_says_so() {
    let mut questions = Vec::new();
    for pattern in PATTERNS {
        for (zone, changes) in ZONES {
            for time in TIMES.iter().chain(changes) {
                let after = operator_core::time::parse_iso(time).unwrap();
                questions.push(json!({ "pattern": pattern, "tz": zone, "after": after }));
            }
        }
    }
    // One that never fires takes the whole bound of the search.
    questions.push(json!({ "pattern": "0 0 31 2,4 *", "tz": "UTC", "after": 1_700_000_000_000_u64 }));
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let answers = NodePeer::run("cron.mjs", &[], &lines).await;
    let answers: Vec<&Value> = answers.iter().filter(|answer| answer["event"].is_null()).collect();
    assert_eq!(answers.len(), questions.len());
    for (question, answer) in questions.iter().zip(answers) {
        let pattern = question["pattern"].as_str().unwrap();
        let ours = next_cron(pattern, question["tz"].as_str(), question["after"].as_u64().unwrap());
        match (answer.get("next"), ours) {
            (Some(theirs), Ok(ours)) => assert_eq!(theirs.as_u64(), ours, "{question}"),
            (None, Err(_)) => {}
            (theirs, ours) => panic!("{question}: {theirs:?} beside {ours:?}"),
        }
    }
}
