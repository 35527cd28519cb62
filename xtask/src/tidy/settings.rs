//! The environment variables: those the code reads are those of `.env.example` and of `docs/configuration.md`.
//!
//! Both are written from the list in core, by `cargo xtask tidy --fix`. Reading the environment itself is left to the
//! telemetry crate, so no other name can come in by the side.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use operator_core::settings::{Var, vars};

use super::tree::{File, Finding, Tree};
use crate::failure::{Failure, Result};

const EXAMPLE: &str = ".env.example";
const REFERENCE: &str = "docs/configuration.md";
const BEGIN: &str = "<!-- The table is written by `cargo xtask tidy --fix`. -->\n";
const END: &str = "<!-- End of the table. -->\n";
const FIX: &str = "differs from the settings in crates/core/src/settings.rs: run `cargo xtask tidy --fix`";

/// Ways to read the environment while the program runs.
const READS: &[&str] = &["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];

/// Crates that may: telemetry, which reads it for all others, and the testkit, which looks for servers in `PATH`.
const READERS: &[&str] = &["crates/telemetry/", "crates/testkit/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = generated(tree);
    found.extend(tree.ending(&[".rs"]).flat_map(other_reads));
    found
}

fn generated(tree: &Tree) -> Vec<Finding> {
    let missing = |path: &str| Finding { path: path.to_owned(), line: 0, remedy: "is missing".to_owned() };
    let mut found = Vec::new();
    match tree.file(EXAMPLE) {
        None => found.push(missing(EXAMPLE)),
        Some(file) if file.text != example(vars::ALL) => found.push(file.finding(FIX)),
        Some(_) => {}
    }
    match tree.file(REFERENCE) {
        None => found.push(missing(REFERENCE)),
        Some(file) if with_table(&file.text, vars::ALL).as_ref() != Some(&file.text) => found.push(file.finding(FIX)),
        Some(_) => {}
    }
    found
}

fn other_reads(file: &File) -> Vec<Finding> {
    let product = file.path.starts_with("crates/") && file.path.contains("/src/");
    if !product || READERS.iter().any(|reader| file.path.starts_with(reader)) {
        return Vec::new();
    }
    let reads = |line: &str| READS.iter().any(|read| line.contains(read));
    let lines = file.lines().filter(|(_, line)| reads(line));
    lines
        .map(|(number, _)| {
            file.finding_at(number, "read settings through core's Reader, with a variable of core's list")
        })
        .collect()
}

/// Writes what is generated.
pub(super) fn write(root: &Path) -> Result<()> {
    let path = root.join(EXAMPLE);
    fs::write(&path, example(vars::ALL)).map_err(Failure::file(path))?;
    let path = root.join(REFERENCE);
    let text = fs::read_to_string(&path).map_err(Failure::file(&path))?;
    let text = with_table(&text, vars::ALL)
        .ok_or_else(|| Failure::answer(REFERENCE, format!("must hold these two lines:\n{BEGIN}{END}")))?;
    fs::write(&path, text).map_err(Failure::file(path))
}

fn example(vars: &[&Var]) -> String {
    let mut text = "# Every setting with its default. Copy this file to .env and change what you need.\n\
        # A secret may also be read from a file: set NAME_FILE to its path instead of NAME.\n"
        .to_owned();
    for Var { name, older, default, about } in vars {
        let _ = write!(text, "\n# {about}\n");
        if !older.is_empty() {
            let _ = writeln!(text, "# Read when it is absent: {}.", older.join(", "));
        }
        let value = if is_value(default) { default } else { "" };
        if value.is_empty() {
            let _ = writeln!(text, "# Default: {default}.");
        }
        let _ = writeln!(text, "#{name}={value}");
    }
    text
}

/// Whether a default is a value one could write, and not a phrase that says what happens without one.
fn is_value(default: &str) -> bool {
    !default.contains(' ')
}

/// `text` with the part between the two marks written anew; none when a mark is missing.
fn with_table(text: &str, vars: &[&Var]) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", table(vars)))
}

fn table(vars: &[&Var]) -> String {
    let mut text = "| variable | default | meaning | read when it is absent |\n|---|---|---|---|\n".to_owned();
    for Var { name, older, default, about } in vars {
        let default = if is_value(default) { format!("`{default}`") } else { (*default).to_owned() };
        let older: Vec<String> = older.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| `{name}` | {default} | {about} | {} |", older.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    const HOST: Var = Var { name: "HOST", older: &["OLD_HOST"], default: "localhost", about: "Where." };
    const KEY: Var = Var { name: "KEY", older: &[], default: "none: it is open", about: "Who." };

    #[test]
    fn the_example_shows_values_and_explains_their_absence() {
        let text = example(&[&HOST, &KEY]);
        assert!(text.ends_with(
            "\n# Where.\n# Read when it is absent: OLD_HOST.\n#HOST=localhost\n\n# Who.\n# Default: none: it is open.\n#KEY=\n"
        ));
    }

    #[test]
    fn only_the_table_of_the_reference_is_written() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let written = with_table(&page, &[&HOST]).unwrap();
        assert!(written.starts_with("before\n") && written.ends_with("after\n") && !written.contains("old"));
        assert!(written.contains("| `HOST` | `localhost` | Where. | `OLD_HOST` |\n"));
        assert_eq!(with_table("no marks", &[&HOST]), None);
    }

    #[test]
    fn a_variable_that_is_read_by_the_side_is_found() {
        let read = concat!("//! A.\nlet a = std::env::", "var(\"SECRET_SWITCH\");\n");
        let files = [("crates/worker/src/a.rs", read), ("crates/telemetry/src/a.rs", read), ("xtask/src/a.rs", read)];
        assert_findings(
            |tree| tree.ending(&[".rs"]).flat_map(other_reads).collect(),
            &files,
            &["crates/worker/src/a.rs:2"],
        );
    }

    #[test]
    fn a_list_that_lags_behind_is_found() {
        let files = [(EXAMPLE, "HOST=\n"), (REFERENCE, "no table\n")];
        assert_findings(generated, &files, &[EXAMPLE, REFERENCE]);
    }
}
