//! What the store promises, checked on both databases by one suite.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use operator_core::{JobRecord, JobStatus, Json, Outcome};
use operator_store::{Cursor, RecordCount, RecordFilter, Store};
use support::{Place, completed, failed};

/// Runs each test on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Place::sqlite()).await })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Place::postgres()).await })*
        }
    };
}

on_both! {
    a_record_is_stored_once_however_often_it_is_given
    an_empty_batch_stores_nothing
    every_field_comes_back_as_it_was
    json_comes_back_byte_for_byte
    nul_and_unicode_come_back_in_every_text
    a_megabyte_of_data_comes_back
    keys_too_long_for_an_index_are_told_apart
    the_newest_record_of_a_job_is_found
    pages_have_neither_gaps_nor_doubles
    a_page_shows_what_passes_every_condition
    keys_without_a_record_are_missing
    a_sweep_mark_never_moves_back
    counts_are_per_queue_and_status
    ten_processes_may_open_at_once
    writers_of_the_same_records_store_each_once
    a_closed_store_answers_with_an_error
}

async fn a_record_is_stored_once_however_often_it_is_given(place: Place) {
    let store = place.open().await;
    let first = completed("a", 10);
    let other_end = failed("a", 11, "run again");
    let batch = [first.clone(), other_end.clone(), first.clone()];
    assert_eq!(store.insert_records(&batch).await, Ok(2));
    assert_eq!(store.insert_records(&batch).await, Ok(0));
    let late = JobRecord { name: "another".into(), ..first.clone() };
    assert_eq!(store.insert_records(&[late, completed("b", 10)]).await, Ok(1));
    let page = store.records(&RecordFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.records, [other_end, completed("b", 10), first]);
}

async fn an_empty_batch_stores_nothing(place: Place) {
    let store = place.open().await;
    store.ping().await.unwrap();
    assert_eq!(store.insert_records(&[]).await, Ok(0));
    assert_eq!(store.missing("default", &[]).await, Ok(vec![]));
    assert_eq!(store.record("a").await, Ok(None));
}

async fn every_field_comes_back_as_it_was(place: Place) {
    let store = place.open().await;
    let mut full = failed("a", 1_700_000_000_002, "line 1\nline 2");
    full.outcome = Outcome::Failed { error: "line 1\nline 2".into(), stack: vec!["x".into(), "y\n\"z\"".into()] };
    (full.attempts_made, full.attempts_started, full.stalled) = (3, u32::MAX, 2);
    let mut bare = completed("b", 0);
    (bare.timestamp_ms, bare.processed_ms, bare.worker) = (0, None, None);
    bare.outcome = Outcome::Failed { error: String::new(), stack: vec![] };
    let odd = completed("c", i64::MAX.unsigned_abs());
    store.insert_records(&[full.clone(), bare.clone(), odd.clone()]).await.unwrap();
    assert_eq!(store.record("a").await, Ok(Some(full)));
    assert_eq!(store.record("b").await, Ok(Some(bare)));
    assert_eq!(store.record("c").await, Ok(Some(odd)));
}

async fn json_comes_back_byte_for_byte(place: Place) {
    let store = place.open().await;
    let texts = [
        r#"{ "b" : 1, "a":1.0,"a":2 }"#,
        "[12345678901234567890123456789, 1e400, -0, 0.10]",
        r#""\u0000 \ud800 \u00e9 é \/ \u001a""#,
        "  null ",
        "\"\u{1f980}\u{2028}\"",
    ];
    for (position, text) in (0..).zip(texts) {
        let json = Json::parse(text).unwrap();
        let mut record = completed(text, position);
        (record.data, record.opts) = (json.clone(), json.clone());
        record.outcome = Outcome::Completed { result: json };
        store.insert_records(std::slice::from_ref(&record)).await.unwrap();
        assert_eq!(store.record(text).await, Ok(Some(record)), "{text}");
    }
}

async fn nul_and_unicode_come_back_in_every_text(place: Place) {
    let store = place.open().await;
    for text in ["a\0b", "\0", "\u{1a}", "\u{1a}\u{2400}", "ünï 🦀 \u{202e}", "'; DROP TABLE jobs; --", "%_$1"] {
        let record = JobRecord {
            queue: text.into(),
            name: text.into(),
            outcome: Outcome::Failed { error: text.into(), stack: vec![text.into()] },
            worker: Some(text.into()),
            ..completed(text, 5)
        };
        assert_eq!(store.insert_records(std::slice::from_ref(&record)).await, Ok(1), "{text:?}");
        assert_eq!(store.record(text).await, Ok(Some(record.clone())));
        assert_eq!(store.record_in(text, text).await, Ok(Some(record.clone())));
        let only = RecordFilter { queue: Some(text.into()), name: Some(text.into()), status: None };
        assert_eq!(store.records(&only, None, 2).await.unwrap().records, [record]);
        assert_eq!(store.missing(text, &[(text.into(), 5)]).await, Ok(vec![]), "{text:?}");
        store.set_sweep_mark(text, "failed", 5).await.unwrap();
        assert_eq!(store.sweep_mark(text, "failed").await, Ok(5));
    }
}

async fn a_megabyte_of_data_comes_back(place: Place) {
    let store = place.open().await;
    let large = Json::encode(&"é🦀x\0".repeat(100_000)).unwrap();
    let record = |id: usize| JobRecord {
        data: large.clone(),
        outcome: Outcome::Failed { error: "€".repeat(350_000), stack: vec!["s".repeat(1_000_000)] },
        ..completed(&id.to_string(), 1)
    };
    // Together more than goes into one statement.
    let records: Vec<JobRecord> = (0..12).map(record).collect();
    assert_eq!(store.insert_records(&records).await, Ok(12));
    for record in records {
        assert!(store.record(&record.id).await == Ok(Some(record)));
    }
}

async fn keys_too_long_for_an_index_are_told_apart(place: Place) {
    let store = place.open().await;
    // Random enough that the database cannot compress them below its limit.
    let noise: String = (0..4000u32).filter_map(|n| char::from_u32(0x4e00 + n.wrapping_mul(7919) % 20_000)).collect();
    let long = |end: &str| format!("{noise}{end}");
    let record = |end: &str| JobRecord { queue: long(end), name: long(end), ..completed(&long(end), 1) };
    assert_eq!(store.insert_records(&[record("1"), record("2"), record("1")]).await, Ok(2));
    let found = store.record_in(&long("1"), &long("1")).await.unwrap().unwrap();
    assert!(noise.starts_with(found.id.split('~').next().unwrap()));
    assert_eq!(store.record_in(&long("1"), &long("2")).await, Ok(None));
    let keys = [(long("1"), 1), (long("3"), 1)];
    assert_eq!(store.missing(&long("1"), &keys).await, Ok(vec![(long("3"), 1)]));
    let only = RecordFilter { name: Some(long("2")), ..RecordFilter::default() };
    assert_eq!(store.records(&only, None, 5).await.unwrap().records.len(), 1);
}

async fn the_newest_record_of_a_job_is_found(place: Place) {
    let store = place.open().await;
    let elsewhere = JobRecord { queue: "other".into(), ..completed("a", 30) };
    store.insert_records(&[completed("a", 10), failed("a", 20, "x"), elsewhere.clone()]).await.unwrap();
    assert_eq!(store.record("a").await, Ok(Some(elsewhere.clone())));
    assert_eq!(store.record_in("default", "a").await, Ok(Some(failed("a", 20, "x"))));
    assert_eq!(store.record_in("other", "a").await, Ok(Some(elsewhere)));
    assert_eq!(store.record_in("other", "b").await, Ok(None));
}

async fn pages_have_neither_gaps_nor_doubles(place: Place) {
    let store = place.open().await;
    // Many finish in the same millisecond, in queues and with ids whose order depends on the locale.
    let ids = ["a", "B", "é", "Z", "_", "10", "9", "A b", "a-b", "🦀"];
    let mut records = Vec::new();
    for finished_ms in 0..4 {
        for (id, queue) in ids.iter().flat_map(|id| ["q", "Q", "é"].map(|queue| (id, queue))) {
            records.push(JobRecord { queue: queue.into(), ..completed(id, finished_ms) });
        }
    }
    store.insert_records(&records).await.unwrap();
    records.sort_by(|a, b| (b.finished_ms, &b.queue, &b.id).cmp(&(a.finished_ms, &a.queue, &a.id)));
    for limit in [1, 7, 40, 119, 120, 500] {
        assert_eq!(walk(&store, &RecordFilter::default(), limit, false).await, records, "{limit} a page");
    }
    let only = RecordFilter { queue: Some("q".into()), ..RecordFilter::default() };
    records.retain(|record| record.queue == "q");
    assert_eq!(walk(&store, &only, 3, false).await, records);
    assert_eq!(walk(&store, &only, 3, true).await, records, "with records arriving in between");
}

/// All pages together; with `arriving`, newer records are stored between them.
async fn walk(store: &Store, filter: &RecordFilter, limit: u32, arriving: bool) -> Vec<JobRecord> {
    let mut records = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = store.records(filter, after.as_ref(), limit).await.unwrap();
        records.extend(page.records);
        let Some(next) = page.next else { return records };
        after = Some(next.to_string().parse().unwrap());
        if arriving {
            let newer = JobRecord { queue: "q".into(), ..completed("new", 1000 + records.len() as u64) };
            store.insert_records(&[newer]).await.unwrap();
        }
    }
}

async fn a_page_shows_what_passes_every_condition(place: Place) {
    let store = place.open().await;
    let mut records = Vec::new();
    for (finished_ms, queue) in (0..).zip(["x", "y"]) {
        for name in ["n", "m"] {
            let done = JobRecord { queue: queue.into(), name: name.into(), ..completed(name, finished_ms) };
            let broken = JobRecord { queue: queue.into(), name: name.into(), ..failed("f", 10 + finished_ms, name) };
            records.extend([done, JobRecord { id: format!("f{name}"), ..broken }]);
        }
    }
    store.insert_records(&records).await.unwrap();
    records.sort_by(|a, b| (b.finished_ms, &b.queue, &b.id).cmp(&(a.finished_ms, &a.queue, &a.id)));
    for queue in [None, Some("x"), Some("z")] {
        for name in [None, Some("n")] {
            for status in [None, Some(JobStatus::Failed), Some(JobStatus::Completed), Some(JobStatus::Pending)] {
                let filter = RecordFilter { queue: queue.map(Into::into), name: name.map(Into::into), status };
                let passes = |record: &&JobRecord| {
                    queue.is_none_or(|queue| record.queue == queue)
                        && name.is_none_or(|name| record.name == name)
                        && status.is_none_or(|status| record.outcome.status() == status)
                };
                let expected: Vec<JobRecord> = records.iter().filter(passes).cloned().collect();
                assert_eq!(walk(&store, &filter, 2, false).await, expected, "{filter:?}");
            }
        }
    }
}

async fn keys_without_a_record_are_missing(place: Place) {
    let store = place.open().await;
    store.insert_records(&[completed("a", 1), completed("b", 2)]).await.unwrap();
    let keys = [("c", 1), ("a", 1), ("a", 2), ("b", 2), ("c", 1), ("b", 1)].map(|(id, ms)| (id.to_owned(), ms));
    let expected = [("c", 1), ("a", 2), ("c", 1), ("b", 1)].map(|(id, ms)| (id.to_owned(), ms));
    assert_eq!(store.missing("default", &keys).await, Ok(expected.to_vec()));
    assert_eq!(store.missing("other", &keys).await, Ok(keys.to_vec()));
    let many: Vec<(String, u64)> = (0..20_000).map(|n| (format!("{n}"), n)).collect();
    assert_eq!(store.missing("default", &many).await, Ok(many));
}

async fn a_sweep_mark_never_moves_back(place: Place) {
    let store = place.open().await;
    assert_eq!(store.sweep_mark("default", "completed").await, Ok(0));
    for (given, kept) in [(20, 20), (10, 20), (20, 20), (30, 30)] {
        store.set_sweep_mark("default", "completed", given).await.unwrap();
        assert_eq!(store.sweep_mark("default", "completed").await, Ok(kept));
    }
    assert_eq!(store.sweep_mark("default", "failed").await, Ok(0));
    assert_eq!(store.sweep_mark("other", "completed").await, Ok(0));
}

async fn counts_are_per_queue_and_status(place: Place) {
    let store = place.open().await;
    let other = JobRecord { queue: "other".into(), ..completed("a", 1) };
    store.insert_records(&[completed("a", 1), completed("b", 1), failed("c", 1, "x"), other]).await.unwrap();
    let count = |queue: &str, status, records| RecordCount { queue: queue.into(), status, records };
    let expected = vec![
        count("default", JobStatus::Completed, 2),
        count("default", JobStatus::Failed, 1),
        count("other", JobStatus::Completed, 1),
    ];
    assert_eq!(store.counts().await, Ok(expected));
}

async fn ten_processes_may_open_at_once(place: Place) {
    let config = place.config();
    let mut opening = tokio::task::JoinSet::new();
    for process in 0..10 {
        let config = config.clone();
        opening.spawn(async move {
            let store = Store::open(&config).await.unwrap();
            let stored = store.insert_records(&[completed("same", 1), completed(&process.to_string(), 1)]).await;
            store.close().await;
            stored.unwrap()
        });
    }
    assert_eq!(opening.join_all().await.iter().sum::<u64>(), 11);
}

async fn writers_of_the_same_records_store_each_once(place: Place) {
    let records: Vec<JobRecord> = (0..400).map(|n| completed(&n.to_string(), n / 7)).collect();
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = place.open().await;
        let mut records = records.clone();
        records.rotate_left(writer * 50);
        if writer % 2 == 1 {
            records.reverse();
        }
        writing.spawn(async move {
            let mut stored = 0;
            for batch in records.chunks(90) {
                stored += store.insert_records(batch).await.unwrap();
            }
            stored
        });
    }
    assert_eq!(writing.join_all().await.iter().sum::<u64>(), 400);
    assert_eq!(place.open().await.counts().await.unwrap()[0].records, 400);
}

async fn a_closed_store_answers_with_an_error(place: Place) {
    let store = place.open().await;
    let clone = store.clone();
    store.close().await;
    assert!(clone.ping().await.unwrap_err().may_retry());
}
