//! The documents, the dashboard and the alerts name metrics; these tests keep them to those that exist.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use operator_telemetry::names::{self, Kind, Metric};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = project().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The row of `docs/metrics.md` for `metric`.
fn row(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "-".to_owned() } else { labels.join(", ") };
    let kind = format!("{:?}", metric.kind).to_lowercase();
    format!("| `{}` | {kind} | {labels} | {} | {} |", metric.name, metric.unit, metric.about)
}

/// Every word in `text` that has the form of one of our metrics.
fn metrics_in(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("operator_") || word.starts_with("process_")).collect()
}

/// Whether Prometheus has a series of this name.
fn is_exported(series: &str) -> bool {
    let plain = |name| names::find(name).is_some_and(|metric| metric.kind != Kind::Histogram);
    let part = |suffix| {
        let name = series.strip_suffix(suffix);
        name.and_then(names::find).is_some_and(|metric| metric.kind == Kind::Histogram)
    };
    plain(series) || ["_bucket", "_sum", "_count"].into_iter().any(part)
}

#[test]
fn the_reference_lists_every_metric_as_it_is() {
    let document = read("docs/metrics.md");
    let documented: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
    let ours: Vec<String> = names::ALL.iter().map(row).collect();
    assert_eq!(documented, ours);
}

#[test]
fn the_alerts_use_only_metrics_that_exist() {
    let rules = read("deploy/prometheus/rules.yml");
    let used = metrics_in(&rules);
    assert!(used.len() >= 6, "{used:?}");
    for series in used {
        assert!(is_exported(series), "rules.yml uses {series}");
    }
}

#[test]
fn the_dashboard_uses_only_metrics_that_exist() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/dashboards/operator.json")).unwrap();
    assert_eq!(dashboard["uid"], "operator");
    let text = dashboard["panels"].to_string() + &dashboard["templating"].to_string();
    let used = metrics_in(&text);
    assert!(used.len() >= 15, "{used:?}");
    for series in used {
        assert!(is_exported(series), "operator.json uses {series}");
    }
}

#[test]
fn every_panel_asks_the_chosen_data_source() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/dashboards/operator.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
}

/// The names given as text to the macros of the `metrics` crate in `source`.
fn recorded_in(source: &str) -> Vec<&str> {
    let macros = ["counter!(", "gauge!(", "histogram!("];
    let calls = macros.iter().flat_map(|name| source.match_indices(name).map(|(at, name)| &source[at + name.len()..]));
    calls.filter_map(|arguments| arguments.trim_start().strip_prefix('"')?.split('"').next()).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// Crates below telemetry cannot use its constants and write the names out.
#[test]
fn every_metric_the_crates_record_by_text_is_listed() {
    let crates = fs::read_dir(project().join("crates")).unwrap();
    let sources = crates.flat_map(|entry| sources(&entry.unwrap().path().join("src")));
    for path in sources {
        for name in recorded_in(&fs::read_to_string(&path).unwrap()) {
            assert!(names::find(name).is_some(), "{} records {name}: list it in names", path.display());
        }
    }
}
