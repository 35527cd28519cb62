//! The page on compatibility names only tests and sequences that exist and are run, and every difference that is declared
//! in code.

use super::tree::{File, Finding, Tree};

const PAGE: &str = "docs/bullmq-compatibility.md";
const DIFFERENCES: &str = "crates/conformance/src/differences";
const SEQUENCES: &str = "interop/sequences/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding { path: PAGE.to_owned(), line: 0, remedy: "is missing".to_owned() }];
    };
    let mut found = Vec::new();
    for (number, line) in page.lines() {
        for span in spans(line).filter(|span| is_proof(tree, span) && !exists(tree, span)) {
            found.push(page.finding_at(number, format!("`{span}` does not exist: name what shows it now")));
        }
        if promises(line) && !spans(line).any(|span| is_proof(tree, span)) {
            found.push(page.finding_at(number, "claims something and names nothing that shows it"));
        }
    }
    let missing = declared(tree).filter(|id| !page.text.contains(&format!("| `{id}` |")));
    found.extend(missing.map(|id| page.finding(format!("lacks a row for the declared difference `{id}`"))));
    found
}

/// What stands between single backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a row claims a feature in its second cell, or is that of a quirk, with a number in its first.
fn promises(line: &str) -> bool {
    let mut cells = line.strip_prefix('|').unwrap_or_default().split('|').map(str::trim);
    let (first, second) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
    let is_quirk = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    is_quirk || second.starts_with("yes") || second.starts_with("partly")
}

/// A sequence, or a path that begins with a crate of ours and ends with a test: `…` stands for any.
fn is_proof(tree: &Tree, span: &str) -> bool {
    if span.contains(['…', ' ']) {
        return false;
    }
    let crate_of = |(first, _): (&str, &str)| format!("crates/{first}/");
    let in_crate = span.split_once("::").map(crate_of);
    span.ends_with(".jsonl")
        || in_crate.is_some_and(|folder| tree.files.iter().any(|file| file.path.starts_with(&folder)))
}

/// `queue::worker::limits::name` is the function `name` in `tests/worker/limits.rs` or `src/worker/limits.rs`.
fn exists(tree: &Tree, span: &str) -> bool {
    let Some((path, test)) = span.rsplit_once("::") else {
        return tree.file(&format!("{SEQUENCES}{span}")).is_some();
    };
    let (first, rest) = path.split_once("::").unwrap_or((path, "lib"));
    let rest = rest.replace("::", "/");
    let files = ["tests", "src"].map(|folder| format!("crates/{first}/{folder}/{rest}.rs"));
    files.iter().filter_map(|path| tree.file(path)).any(|file| has_test(file, test))
}

/// Whether the attributes above the function make it a test, and none of them keeps it from being run.
fn has_test(file: &File, name: &str) -> bool {
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let defines = |line: &str| line.split_once("fn ").is_some_and(|(_, rest)| rest.starts_with(&format!("{name}(")));
    let Some(at) = lines.iter().position(|line| defines(line)) else { return false };
    let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    let is_run = attributes.clone().all(|attribute| !attribute.starts_with("#[ignore"));
    is_run && attributes.any(|attribute| attribute.starts_with("#[test") || attribute.starts_with("#[tokio::test"))
}

/// The ids of the table in code.
fn declared(tree: &Tree) -> impl Iterator<Item = &str> {
    let table = tree.files.iter().filter(|file| file.path.starts_with(DIFFERENCES));
    table.flat_map(|file| file.text.lines()).filter_map(|line| line.trim().strip_prefix("id: \"")?.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    const CODE: (&str, &str) = ("crates/conformance/src/differences.rs", "Difference {\n    id: \"ghosts\",\n");
    const TESTS: (&str, &str) = (
        "crates/queue/tests/worker/limits.rs",
        "#[tokio::test]
async fn two_share() {}
fn helper() {}
#[test]
#[ignore]
fn later() {}
",
    );
    const SEQUENCE: (&str, &str) = ("interop/sequences/adding.jsonl", "");

    fn check_page(page: &str, expected: &[&str]) {
        assert_findings(check, &[(PAGE, page), CODE, TESTS, SEQUENCE], expected);
    }

    #[test]
    fn what_shows_a_feature_must_exist() {
        check_page(
            "| `ghosts` | one |\n| a | yes | `queue::worker::limits::two_share`, `adding.jsonl` |\n\
             | b | yes | `queue::worker::limits::three_share` |\n| c | partly | `gone.jsonl` |\n| d | yes | |\n\
             | e | no | `Queue::add` |\n| 1 | does that | The same. | |\n",
            &[&format!("{PAGE}:3"), &format!("{PAGE}:4"), &format!("{PAGE}:5"), &format!("{PAGE}:7")],
        );
    }

    #[test]
    fn what_shows_a_feature_is_a_test_that_is_run() {
        check_page(
            "| `ghosts` | one |\n| a | yes | `queue::worker::limits::helper` |\n\
             | b | yes | `queue::worker::limits::later` |\n| c | yes | `queue::worker::limits::two_share` |\n",
            &[&format!("{PAGE}:2"), &format!("{PAGE}:3")],
        );
    }

    #[test]
    fn a_declared_difference_has_a_row() {
        check_page("| `phantoms` | one |\n", &[PAGE]);
    }
}
