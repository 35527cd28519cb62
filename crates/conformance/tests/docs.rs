//! The documentation names every operation and every declared difference, in the words of the code.
#![allow(clippy::unwrap_used, reason = "a failing set-up is a failing test")]

use operator_conformance::Operation;
use operator_conformance::differences::DIFFERENCES;

const PAGE: &str = include_str!("../../../docs/conformance.md");

#[test]
fn every_operation_is_documented() {
    let refusal = serde_json::from_str::<Operation>(r#"{"op":"?"}"#).unwrap_err().to_string();
    let names: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
    assert!(names.contains(&"addBulk"), "{refusal}");
    let missing: Vec<_> = names.into_iter().filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/conformance.md says nothing of {missing:?}");
}

#[test]
fn the_table_of_differences_is_that_of_the_code() {
    for difference in DIFFERENCES {
        let row = format!("| `{}` | {} |", difference.id, difference.sentence);
        assert!(PAGE.contains(&row), "docs/conformance.md lacks the row\n{row}");
    }
    let rows = PAGE.split("## Declared differences").nth(1).unwrap().lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), DIFFERENCES.len());
}
